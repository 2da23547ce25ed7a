"""Trains the model that turns a wish into a timeline.

python3 train_story.py out/story --seconds 200, on a GPU or on a CPU. Texts are drawn by wishes.py in worker processes.
The state is saved every 60 s; --resume continues it. Files in the published form are written to OUT/model.
"""

import argparse
import json
import os
import random
import time

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

import story_judge
import story_tokenizer
import wishes
from optim import Trainer, rate_factor
from story_model import Config, StoryModel

START = time.time()
LONGEST = 192  # tokens of a text
POOL = 4096  # texts that are sorted by length


def elapsed():
    return time.time() - START


class Texts:
    """Wish and timeline as token ids."""

    def __init__(self, tokenizer, block):
        self.tokenizer, self.block = tokenizer, block
        self.end = tokenizer.special("<|im_end|>")

    def prompt(self, wish, seconds):
        """The published chat template around the length and the wish."""
        t = self.tokenizer
        start = t.special("<|im_start|>")
        return [start, *t.encode(f"user\n{seconds} s: {wish}"), self.end, *t.encode("\n"),
                start, *t.encode("assistant\n")]

    def text(self, wish, seconds, lines):
        """Ids, filled up with end tokens to whole blocks, and how many belong to the prompt."""
        prompt = self.prompt(wish, seconds)
        ids = prompt + self.tokenizer.encode("\n".join(lines)) + [self.end]
        return ids + [self.end] * (-len(ids) % self.block), len(prompt)


class Batches(IterableDataset):
    def __init__(self, texts, tokens, seed):
        self.texts, self.tokens, self.seed = texts, tokens, seed

    def __iter__(self):
        torch.set_num_threads(1)
        worker = get_worker_info()
        rng = random.Random(f"{self.seed} {worker.id if worker else 0}")
        while True:
            pool = []
            while len(pool) < POOL:
                ids, prompt = self.texts.text(*wishes.sample(rng)[:3])
                if len(ids) <= LONGEST:
                    pool.append((ids, prompt))
            pool.sort(key=lambda item: (-(-len(item[0]) // 32), item[1]))
            batches = []
            while pool:
                length = -(-len(pool[-1][0]) // 32) * 32
                n = max(1, self.tokens // length)
                batch, pool = pool[-n:], pool[:-n]
                ids = torch.tensor([i + [self.texts.end] * (length - len(i)) for i, _ in batch], dtype=torch.int16)
                bounds = torch.tensor([(p, len(i)) for i, p in batch])
                batches.append((ids, bounds))
            rng.shuffle(batches)
            yield from batches


def counted(ids, bounds):
    place = torch.arange(ids.shape[1], device=ids.device)
    return (place >= bounds[:, :1]) & (place < bounds[:, 1:])


@torch.no_grad()
def write_timelines(model, texts, asked, temperature=1.0, top_p=0.95, threshold=0.9, seed=1):
    """Texts for [(wish, seconds)], decoded block by block as the program does. Returns (texts, tokens per pass)."""
    config, device = model.config, next(model.parameters()).device
    block, mask, end = config.block_size, config.mask_token_id, texts.end
    prompts = [texts.prompt(wish, seconds) for wish, seconds in asked]
    ids = torch.full((len(prompts), LONGEST), mask)
    known = torch.zeros_like(ids, dtype=torch.bool)
    for row, prompt in enumerate(prompts):
        ids[row, : len(prompt)] = torch.tensor(prompt)
        known[row, : len(prompt)] = True
    ids, known = ids.to(device), known.to(device)
    generator = torch.Generator(device=device).manual_seed(seed)
    done = torch.zeros(len(prompts), dtype=torch.bool, device=device)
    passes = tokens = 0
    for b in range(min(map(len, prompts)) // block, LONGEST // block):
        here = slice(b * block, (b + 1) * block)
        length = (b + 1) * block
        place = torch.arange(length, device=device)
        sees = place[:, None] // block >= place[None] // block
        while True:
            rows = (~known[:, here]).any(1) & ~done
            if not rows.any():
                break
            hidden = model.hidden(ids[rows, :length], place, sees)
            logits = model.logits(hidden[:, -block:]).float() / temperature
            confidences = logits.softmax(-1)
            logits[..., mask] = float("-inf")
            values, order = logits.softmax(-1).sort(-1, descending=True)
            values[values.cumsum(-1) - values > top_p] = 0
            drawn = torch.multinomial(values.flatten(0, 1), 1, generator=generator).view(*values.shape[:2], 1)
            token = order.gather(-1, drawn).squeeze(-1)
            confidence = confidences.gather(-1, token[..., None]).squeeze(-1)
            confidence[known[rows][:, here]] = -1
            chosen = confidence > threshold
            chosen |= torch.zeros_like(chosen).scatter(1, confidence.argmax(1, keepdim=True), True)
            part_ids, part_known = ids[rows][:, here], known[rows][:, here]
            chosen &= ~part_known
            part_ids[chosen] = token[chosen]
            ids[rows, here] = part_ids
            known[rows, here] = part_known | chosen
            passes += int(rows.sum())
            tokens += int(chosen.sum())
        answered = torch.arange(LONGEST, device=device) >= torch.tensor([len(p) for p in prompts],
                                                                        device=device)[:, None]
        done |= ((ids == end) & answered & known).any(1)
        if done.all():
            break
    result = []
    for row, prompt in enumerate(prompts):
        answer = ids[row, len(prompt) :].tolist()
        answer = answer[: answer.index(end)] if end in answer else [i for i in answer if i != mask]
        result.append(texts.tokenizer.decode(answer))
    return result, tokens / max(1, passes)


def unseen(n=256, seed=987654321):
    """Wishes of the rules that training did not see, as of wishes.sample."""
    rng = random.Random(seed)
    return [wishes.sample(rng) for _ in range(n)]


def handwritten(file, seconds=60):
    """Wishes of a list such as tests/data/story/wishes.json, as of wishes.sample."""
    with open(file) as stream:
        return [(w.pop("wish"), seconds, None, w) for w in json.load(stream)]


def evaluate(model, texts, asked, shown=6):
    """asked: as of wishes.sample. Share of well-formed timelines, of those that keep everything, and each fact."""
    n = len(asked)
    answers, rate = write_timelines(model, texts, [(wish, seconds) for wish, seconds, _, _ in asked])
    good, right, whole = 0, {}, 0
    for (wish, seconds, _, facts), answer in zip(asked, answers):
        timeline = story_judge.parsed(answer, seconds)
        good += timeline is not None
        kept = story_judge.kept(timeline, facts) if timeline else {key: False for key in facts}
        whole += all(kept.values())
        for key, value in kept.items():
            right.setdefault(key, []).append(value)
        if shown > 0 and not all(kept.values()):
            shown -= 1
            print(f"[{seconds}] {wish} {facts} {kept}\n    " + answer.replace("\n", "\n    "), flush=True)
    return dict(well_formed=good / n, all_kept=whole / n, tokens_per_pass=round(rate, 2),
                **{key: round(sum(v) / len(v), 3) for key, v in right.items()})


def publish(folder, model, parameters, tokenizer):
    """config.json, tokenizer.json, model.safetensors (bfloat16); wishes.py writes story.json."""
    from safetensors.torch import save_file

    os.makedirs(folder, exist_ok=True)
    end = tokenizer.special("<|im_end|>")
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(model.config.published(end), file, indent=2)
        file.write("\n")
    tokenizer.save(os.path.join(folder, "tokenizer.json"))
    save_file({name: p.detach().to(torch.bfloat16).contiguous().cpu() for name, p in parameters.items()},
              os.path.join(folder, "model.safetensors"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--seconds", type=float, default=200)
    parser.add_argument("--tokens", type=int, default=0, help="tokens of clean text in a step")
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--resume", help="the folder of an earlier run")
    parser.add_argument("--start", help="a model.safetensors to begin with")
    parser.add_argument("--wishes", nargs="*", default=[], help="lists of wishes to judge the model by, too")
    parser.add_argument("--tokenizer", help="a tokenizer.json; trained anew without it")
    parser.add_argument("--rate", type=float, default=1.0, help="factor of the learning rates")
    parser.add_argument("--judge", type=int, default=256, help="wishes to judge the model by")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    workers = options.workers if options.workers is not None else max(1, min(14, (os.cpu_count() or 2) - 1))
    tokens = options.tokens or (32768 if device.type == "cuda" else 6144)
    torch.manual_seed(options.seed)
    torch.backends.cuda.matmul.allow_tf32 = True
    log_file = open(os.path.join(options.out, "log.txt"), "a")

    def log(*words):
        line = f"[{elapsed():6.1f}] " + " ".join(str(w) for w in words)
        print(line, flush=True)
        log_file.write(line + "\n")
        log_file.flush()

    if options.tokenizer:
        tokenizer = story_tokenizer.Tokenizer.load(options.tokenizer)
    else:
        rng = random.Random(3)
        drawn = [wishes.sample(rng) for _ in range(8000)]
        chat = ["user\n60 s: ", "assistant\n"] * 2000
        tokenizer = story_tokenizer.train([w for w, *_ in drawn] + ["\n".join(l) for _, _, l, _ in drawn] + chat, 1536)
        tokenizer.save(os.path.join(options.out, "tokenizer.json"))
    config = Config(vocab_size=len(tokenizer), mask_token_id=tokenizer.special("<|MASK|>"))
    model = StoryModel(config).to(device)
    if options.start:
        from safetensors.torch import load_file

        model.load_state_dict({name: p.float() for name, p in load_file(options.start).items()})
    texts = Texts(tokenizer, config.block_size)
    matrices = [n for n, p in model.named_parameters() if p.dim() == 2 and "layers" in n]
    trainer = Trainer(model.named_parameters(), matrices, 8e-3 * options.rate, 3e-3 * options.rate, 0.02, 1.0, 200)
    parts = dict(parameters=[p.data for p in trainer.parameters.values()], momentum=list(trainer.muon.buffers.values()),
                 average=list(trainer.average.values()))

    def save():
        for name, tensors in parts.items():
            path = os.path.join(options.out, name + ".pt")
            torch.save(dict(tensors=tensors, steps=trainer.steps), path + ".new")
            os.replace(path + ".new", path)
        publish(os.path.join(options.out, "model"), model, trainer.average, tokenizer)

    if options.resume:
        for name, tensors in parts.items():
            saved = torch.load(os.path.join(options.resume, name + ".pt"), map_location=device)
            trainer.steps = saved["steps"]
            for target, source in zip(tensors, saved["tensors"]):
                target.copy_(source)
    log("parameters", sum(p.numel() for p in model.parameters()), "tokens", len(tokenizer), "device", device)
    loader = iter(DataLoader(Batches(texts, tokens, f"{options.seed} {trainer.steps}"),
                             batch_size=None, num_workers=workers,
                             prefetch_factor=8 if workers else None, pin_memory=device.type == "cuda"))

    begin, last, seen, first_step = time.time(), time.time(), 0, trainer.steps
    total = torch.zeros((), device=device)
    while (progress := (time.time() - START) / options.seconds) < 1:
        ids, bounds = (t.to(device, non_blocking=True) for t in next(loader))
        ids = ids.long()
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = model.loss(ids, counted(ids, bounds))
        total += loss.detach()
        trainer.step(loss, rate_factor(trainer.steps - first_step, progress, 0.3, warm=20 if options.resume else 100))
        seen += len(ids)
        if trainer.steps % 100 == 0:
            log("step", trainer.steps, "loss", round(float(total) / 100, 4), "texts", seen,
                "texts/s", round(seen / (time.time() - begin)))
            total.zero_()
        if time.time() - last > 60:
            save()
            last = time.time()
    save()
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(trainer.average[name])
    log("saved", trainer.steps, "steps,", seen, "texts")
    log(json.dumps(evaluate(model, texts, unseen(options.judge))))
    for file in options.wishes:
        log(file, json.dumps(evaluate(model, texts, handwritten(file), shown=100)))
    log_file.close()
    os._exit(0)  # workers may still be drawing


if __name__ == "__main__":
    main()
