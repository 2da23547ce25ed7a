"""Teaches the demo model's text encoder what captions tell, before it is trained with the transformer.

    python3 train_text.py OUT --seconds 60 [--resume FOLDER]
    python3 train_text.py OUT --seconds 60 --batch 64                 on a CPU

A frame shows what a caption tells only where it is told apart: that the bird is green and the rabbit white, and not the
other way round, is a small part of the transformer's error. Here a `Reader` looks the answers up in the encoder's rows,
as the transformer's attention to text does: one query for each question. Writes umt5.safetensors (averaged weights,
bfloat16) and log.txt. The encoder begins anew. FOLDER of `--resume`, a run's files or exported ones: with the words of
that encoder, and its rows are kept near those that the other gives, which the transformer knows. Captions are written
by other processes as fast as they are read.
"""
import argparse
import copy
import os
import random

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import save_file

import train_transformer
import umt5
import world
from common import DEVICE, elapsed, rounded, set_up
from optim import Trainer, rate_factor
from prompts import Tokenizer, caption_ids
from videos import PAIRS, draw_parameters
from wan_transformer import Geometry

ABSENT = len(world.COLORS)
# A question and the number of its answers. Of an actor: its colour, or that it is not there.
QUESTIONS = {"scene": len(world.SCENES), "time": len(world.TIMES), "weather": len(world.WEATHER),
             "season": len(world.SEASONS), "camera": len(world.CAMERAS), "direction": len(world.DIRECTIONS),
             "place": len(world.SCENES) * world.STARTS, **{actor: ABSENT + 1 for actor in world.ACTORS}}
UNSEEN = 1024  # captions that it is judged by
KEEP = 5.0  # weight of the distance from the rows of the other encoder


def answers(params):
    """Those to QUESTIONS, [n] each."""
    y = {q: params[q] for q in QUESTIONS if q in params}
    y["place"] = params["scene"] * world.STARTS + params["start"]
    for i, actor in enumerate(world.ACTORS):
        second = torch.where(params["actor2"] == i, params["color2"], ABSENT)
        y[actor] = torch.where(params["actor"] == i, params["color"], second)
    return y


class Captions(torch.utils.data.IterableDataset):
    """Batches without end: ids [n, L] of captions that tell all, answers, whether there are two actors [n]."""

    def __init__(self, n, seed):
        self.n, self.seed = n, seed

    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        seed = self.seed + (1000 * (worker.id + 1) if worker else 0)
        generator, rng, tokenizer = torch.Generator().manual_seed(seed), random.Random(seed), Tokenizer()
        while True:
            params = draw_parameters(self.n, generator, pairs=PAIRS)
            ids = caption_ids(params, tokenizer, rng, 1, complete=True)[:, 0]
            yield ids, answers(params), params["actor2"] != world.NOBODY


class Reader(nn.Module):
    """Answers from the encoder's rows [n, L, 256]: a query for each question attends to them once."""

    def __init__(self, width=256, key_width=64):
        super().__init__()
        self.queries = nn.Parameter(0.5 * torch.randn(len(QUESTIONS), key_width))
        self.key, self.value = nn.Linear(width, key_width), nn.Linear(width, width)
        self.answers = nn.ModuleList([nn.Linear(width, n) for n in QUESTIONS.values()])

    def forward(self, rows, mask):
        scores = self.queries @ self.key(rows).transpose(1, 2) / self.queries.shape[1] ** 0.5
        found = scores.masked_fill(~mask[:, None], -1e4).softmax(-1) @ self.value(rows)
        return {q: answer(found[:, i]) for i, (q, answer) in enumerate(zip(QUESTIONS, self.answers))}


def loss_of(logits, y):
    total = 0
    for question, of in logits.items():
        errors = F.cross_entropy(of, y[question], reduction="none")
        if question in world.ACTORS:  # most actors are absent
            errors = errors * torch.where(y[question] == ABSENT, 0.2, 2.0)
        total = total + errors.mean()
    return total


@torch.no_grad()
def right(encoder, reader, batch):
    """Share of right answers; of the actors with their colours, all of a caption, in those with one and with two."""
    ids, y, two = batch
    mask = ids != umt5.PAD
    hits = {q: of.argmax(1) == y[q] for q, of in reader(encoder(ids), mask).items()}
    actors = torch.stack([hits[actor] for actor in world.ACTORS]).all(0)
    return {q: v.float().mean() for q, v in hits.items() if q not in world.ACTORS} | {
        "one actor": actors[~two].float().mean(), "two actors": actors[two].float().mean()}


def on_device(batch):
    ids, y, two = batch
    ids = ids[:, :int((ids != umt5.PAD).sum(1).max())]
    return ids.to(DEVICE), {q: v.to(DEVICE) for q, v in y.items()}, two.to(DEVICE)


def train(encoder, known, options, log):
    """Returns the averaged encoder and the share of right answers of its reader. known: the encoder whose rows are
    kept, or None."""
    reader = Reader().to(DEVICE)
    both = nn.ModuleDict({"encoder": encoder, "reader": reader})
    trainer = Trainer(both.named_parameters(), [], muon_rate=0, adam_rate=options.rate, weight_decay=0, clip=1.0,
                      average_span=100)
    unseen = on_device(next(iter(Captions(UNSEEN, 99))))
    workers = max(1, min(16, os.cpu_count() - 1)) if DEVICE.type == "cuda" else 0
    batches = iter(torch.utils.data.DataLoader(Captions(options.batch, 7), batch_size=None, num_workers=workers))
    begin = elapsed()
    while (now := elapsed()) < options.seconds:
        ids, y, _ = on_device(next(batches))
        mask = ids != umt5.PAD
        rows = encoder(ids)
        loss = loss_of(reader(rows, mask), y)
        if known:
            with torch.no_grad():
                wanted = known(ids)
            loss = loss + KEEP * (rows - wanted)[mask].square().mean()
        progress = (now - begin) / (options.seconds - begin)
        trainer.step(loss, rate_factor(trainer.steps, progress, hold=0.5))
        if trainer.steps % 200 == 0 or trainer.steps in (1, 20):
            log("step", trainer.steps, "progress", progress, "loss", loss.item(), "right",
                rounded({q: float(v) for q, v in right(encoder, reader, unseen).items()}))
    average = copy.deepcopy(both)
    average.load_state_dict(trainer.average)
    result = right(average["encoder"], average["reader"], unseen)
    log("trained", trainer.steps, "steps; right", rounded({q: float(v) for q, v in result.items()}))
    return average["encoder"], result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--resume")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--batch", type=int, default=2048)
    options = parser.parse_args()
    log = set_up(4, options.out)
    geometry, tokenizer = Geometry(), Tokenizer()
    encoder, known = umt5.UMT5Encoder(tokenizer.vocabulary, geometry.text_dim).to(DEVICE), None
    if options.resume:
        known = copy.deepcopy(encoder).requires_grad_(False)
        train_transformer.load_text(known, options.resume)
        encoder.token_embedding.load_state_dict(known.token_embedding.state_dict())
    encoder, _ = train(encoder, known, options, log)
    save_file({k: v.detach().bfloat16().cpu().contiguous() for k, v in encoder.state_dict().items()},
              f"{options.out}/umt5.safetensors")
    log("saved")


if __name__ == "__main__":
    main()
