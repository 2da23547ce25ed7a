"""Trains the demo model's transformer and text encoder on latents of the drawn world, then judges minute-long videos.

    python3 train_transformer.py OUT --vae FOLDER --seconds 560 [--resume FOLDER] [--part 0 0.5]     one GPU of 80 GB
    torchrun --nproc-per-node 4 train_transformer.py OUT ...                                         four of them
    python3 train_transformer.py OUT --vae FOLDER --seconds 60 --toy                                 a check on a CPU

FOLDER of `--vae` is train_vae.py's output, or exported files. Writes transformer-0 and -1, umt5 (averaged weights,
bfloat16), log.txt, videos.png. `--resume` continues from those files, or from exported ones such as assets/demo.
`--part` says which part of the whole schedule this process is; only the last part is judged.
Recipe: docs/demo-model.md.
"""
import argparse
import copy
import math
import os
import random
from dataclasses import replace

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

import classifier
import evaluate
import train_vae
import umt5
from common import DEVICE, DTYPE, RANK, RANKS, broadcast, elapsed, rounded, set_up, shared, synchronize
from videos import draw_parameters, paint_tables, start_painting
from latents import FRAMES, SLOTS, VARIANTS, FirstPool, VideoPool
from own_videos import OwnFirsts, make_own_context
from optim import Trainer, rate_factor
from prompts import Tokenizer, caption_ids
from rollout import SHIFT, SIGMAS, Rollout
from wan_transformer import Geometry, Layout, WanTransformer, load_state

TOY = Geometry(dim=64, num_heads=1, num_layers=2, ffn_dim=128)
ACTOR_WEIGHT = 2.0
GROUP_WEIGHTS = (1.0, 0.5, 0.7)  # windows, video starts, first blocks
# of the first blocks of true videos, as many more are pure noise: only there the caption alone tells the landscape, and
# the model's own first blocks show it the later steps
PURE_NOISE = 0.4
# While the model learns what the captions tell, most of a step are first blocks of pure noise.
READING_WEIGHTS, READING_NOISE = (0.7, 0.4, 1.5), 0.85
# part of the schedule after which the model also sees videos of its own: as context, and as half of the first blocks
OWN_FROM = 0.35
OWN_SHARE = 0.6


class Model(nn.Module):
    """The transformer and the text encoder that is trained with it."""

    def __init__(self, geometry, vocabulary):
        super().__init__()
        self.transformer = WanTransformer(geometry)
        self.text = umt5.UMT5Encoder(vocabulary, geometry.text_dim)

    def matrices(self):
        return [n for n, p in self.named_parameters() if n.startswith("transformer.blocks") and p.ndim == 2]


def draw_sigma(shape):
    """80 % one of the sampler's levels, 20 % uniform with the sampler's shift."""
    u = torch.rand(shape, device=DEVICE)
    free = (SHIFT * u / (1 + (SHIFT - 1) * u)).clamp(min=0.02)
    level = torch.tensor(SIGMAS, device=DEVICE)[torch.randint(0, len(SIGMAS), shape, device=DEVICE)]
    return torch.where(torch.rand(shape, device=DEVICE) < 0.8, level, free)


def disturb(context):
    """Clean context [n, ..., 3, 16, H, W] with white noise and a shift per channel in half of the blocks, as drift
    looks."""
    shape = context.shape[:-4] + (1, 1, 1, 1)
    scale = 0.2 * torch.rand(shape, device=DEVICE) * (torch.rand(shape, device=DEVICE) < 0.5)
    shift = 0.5 * torch.randn(*context.shape[:-4], 1, 16, 1, 1, device=DEVICE)
    return context + scale * (torch.randn_like(context) + shift)


class Batch:
    """One training pass: inputs in the order of `Layout`, targets of the noisy blocks and their weights.

    own_firsts: first blocks (as OwnFirsts.take gives them) that take the places of as many noised true ones, or
    None. pure_noise: share of the other first blocks that are nothing but noise, beside those of `draw_sigma`. weights:
    of the three groups in the loss."""

    def __init__(self, layout, starts, middles, firsts, own_share, own_firsts, pure_noise=PURE_NOISE,
                 weights=GROUP_WEIGHTS):
        self.layout, self.group_weights = layout, weights
        w, s, f, c = layout.windows, layout.starts, layout.firsts, layout.copies
        window = self.windows(starts, middles, w, own_share)
        start = self.slots(starts.data, torch.randint(0, starts.n, (s,), device=DEVICE),
                           torch.arange(3, device=DEVICE).expand(s, 3))
        first = self.first_blocks(firsts.data, f - (len(own_firsts["x"]) if own_firsts else 0))
        # true videos with noise, in each group
        self.noised = [w * c * layout.NOISY, s * c * layout.START_NOISY, len(first["ids"])]
        if own_firsts:
            first = {k: torch.cat([v, own_firsts[k].to(v)]) for k, v in first.items()}
        self.ids = torch.cat([window["ids"], start["ids"], first["ids"]])

        def copies(t):  # [n, m, ...] -> [n, copies, m, ...]
            return t[:, None].expand(t.shape[0], c, *t.shape[1:])
        targets = [copies(window["latents"][:, 3:]), copies(start["latents"][:, 1:]), first["latents"]]
        masks = [copies(window["mask"][:, 3:]), copies(start["mask"][:, 1:]), first["mask"]]
        caption = [window["caption"], 2 * w + start["caption"], 2 * (w + s) + torch.arange(f, device=DEVICE)]
        caption = [caption[0][:, :6], copies(caption[0][:, 3:]), caption[1][:, :2], copies(caption[1][:, 1:]),
                   caption[2]]
        places = [window["starts"][:, :6], copies(window["starts"][:, 3:]), start["starts"][:, :2],
                  copies(start["starts"][:, 1:]),
                  torch.zeros(f, dtype=torch.long, device=DEVICE)]
        self.caption, self.starts = (torch.cat([t.flatten() for t in parts]) for parts in (caption, places))

        block = targets[2].shape[1:]
        self.targets = [t.reshape(-1, *block) for t in targets]
        self.weights = [1 + ACTOR_WEIGHT * m.reshape(-1, FRAMES, 1, *block[-2:]) for m in masks]
        self.sigmas = [draw_sigma((len(t),)) for t in self.targets]
        self.sigmas[2][torch.rand(len(self.sigmas[2]), device=DEVICE) < pure_noise] = SIGMAS[0]
        self.noises = [torch.randn_like(t) for t in self.targets]
        if own_firsts:  # the noise that leads from the video to reach to where the model's chain is
            own, level = slice(self.noised[2], None), own_firsts["sigma"].view(-1, 1, 1, 1, 1)
            self.sigmas[2][own] = own_firsts["sigma"]
            self.noises[2][own] = self.targets[2][own] + (own_firsts["x"] - self.targets[2][own]) / level
        noisy = [x + sigma.view(-1, 1, 1, 1, 1) * (noise - x)
                 for x, sigma, noise in zip(self.targets, self.sigmas, self.noises)]
        clean = [disturb(window["context"][:, :6]).flatten(0, 1), disturb(start["context"][:, :2]).flatten(0, 1)]
        zero = [torch.zeros(len(t), device=DEVICE) for t in clean]
        self.x = torch.cat([clean[0], noisy[0], clean[1], noisy[1], noisy[2]]).to(DTYPE)
        self.t = torch.cat([zero[0], 1000 * self.sigmas[0], zero[1], 1000 * self.sigmas[1], 1000 * self.sigmas[2]])

    @staticmethod
    def first_blocks(data, count):
        """First blocks of random captions."""
        index, variant = (torch.randint(0, n, (count,), device=DEVICE) for n in (len(data["latents"]), VARIANTS))
        return dict(latents=data["latents"][index].float(), mask=data["mask"][index].float(),
                    ids=data["ids"][index, variant])

    @staticmethod
    def slots(data, index, slots):
        """Slots [n, m] of videos [n] of a pool, one caption before and one after the change."""
        n = len(index)
        variant = torch.randint(0, VARIANTS, (n, 2), device=DEVICE)
        ids = torch.stack([data["ids"][index, k, variant[:, k]] for k in (0, 1)], 1).flatten(0, 1)
        row = index[:, None]
        return dict(latents=data["latents"][row, slots].float(), context=data["context"][row, slots].float(),
                    mask=data["mask"][row, slots].float(),
                    caption=2 * torch.arange(n, device=DEVICE)[:, None] + data["changed"][row, slots],
                    starts=VideoPool.slot_starts(data["begin"][index]).gather(1, slots), ids=ids)

    def windows(self, starts, middles, count, own_share):
        """Windows of the first block and six in a row; a part of them from videos whose past is the model's own."""
        parts = []
        for pool, share in ((starts, count // 3), (middles, count - count // 3)):
            index = torch.randint(0, pool.n, (share,), device=DEVICE)
            own = pool.data["own"].nonzero().flatten()
            if own_share and len(own):
                chosen = own[torch.randint(0, len(own), (share,), device=DEVICE)]
                index = torch.where(torch.rand(share, device=DEVICE) < own_share, chosen, index)
            offset = torch.randint(0, SLOTS - 6, (share,), device=DEVICE)
            slots = torch.cat([torch.zeros_like(offset)[:, None], offset[:, None] + torch.arange(1, 7, device=DEVICE)],
                              1)
            parts.append(self.slots(pool.data, index, slots))
        parts[1]["caption"] = parts[1]["caption"] + 2 * (count // 3)
        return {k: torch.cat([p[k] for p in parts]) for k in parts[0]}

    def loss(self, model):
        """Weighted squared error of the flow; also the plain error of x0 per group and level, of noised true videos,
        for the log."""
        rows = model.text(self.ids, DTYPE)
        flows = model.transformer(self.x, self.t, self.starts, rows, self.caption, self.layout)
        total, errors = 0, []
        for flow, x, noise, weight, sigma, share, n in zip(flows, self.targets, self.noises, self.weights, self.sigmas,
                                                           self.group_weights, self.noised):
            square = (flow - (noise - x)).square()
            total = total + share * (square * weight).mean() / weight.mean()
            sigma = sigma[:n]
            x0_error = square[:n].detach().mean((1, 2, 3, 4)) * sigma.square()
            at_level = [((sigma - level).abs() < 1e-4).float() for level in (SIGMAS[0], SIGMAS[2], SIGMAS[3])]
            errors.append(torch.stack([(x0_error * chosen).sum() / chosen.sum() for chosen in at_level]))
        return total, torch.stack(errors)


def save(model, out):
    half = {k: v.detach().bfloat16().cpu().contiguous() for k, v in model.transformer.state_dict().items()}
    late = {k: v for k, v in half.items() if k.startswith("blocks.")
            and int(k.split(".")[1]) >= len(model.transformer.blocks) // 2}
    files = {"transformer-0": {k: v for k, v in half.items() if k not in late}, "transformer-1": late,
             "umt5": {k: v.detach().bfloat16().cpu().contiguous() for k, v in model.text.state_dict().items()}}
    for name, state in files.items():
        save_file(state, f"{out}/{name}.new")
    for name in files:  # at once: the three belong together
        os.replace(f"{out}/{name}.new", f"{out}/{name}.safetensors")


@torch.no_grad()
def adopt_pieces(rows, old_rows, old, new):
    """Rows of a vocabulary from those of another: of the same piece, or the mean of those that spell it."""
    for i in range(new.vocab_size()):
        piece = new.id_to_piece(i)
        same = old.piece_to_id(piece)
        spelled = [same] if old.id_to_piece(same) == piece else old.encode(piece.replace("\u2581", " "))
        rows[i] = old_rows[spelled].mean(0) if spelled else old_rows[old.unk_id()]


@torch.no_grad()
def hidden_products(transformer, text, tokenizer, videos=8, blocks=2):
    """Mean products of what the feed-forward layers' hidden units give, and a 1 behind them, while the model makes
    videos of captions: [layers][inner + 1, inner + 1]."""
    sums = [0.0] * len(transformer.blocks)

    def add(layer, rows):
        h = F.pad(rows.flatten(0, -2).float(), (0, 1), value=1.0)
        sums[layer] = sums[layer] + h.T @ h / len(h)
    hooks = [block.ffn["2"].register_forward_pre_hook(lambda _, inputs, layer=i: add(layer, inputs[0]))
             for i, block in enumerate(transformer.blocks)]
    g, device = transformer.geometry, transformer.head.modulation.device
    ids = caption_ids(draw_parameters(videos, torch.Generator().manual_seed(1)), tokenizer, random.Random(1), 1)[:, 0]
    rollout = Rollout(transformer, text(ids.to(device)), generator=torch.Generator(device=device).manual_seed(1))
    for block in range(blocks):
        start = torch.full((videos,), g.frames_per_block * block, dtype=torch.long, device=device)
        noise = torch.randn(videos, g.frames_per_block, g.in_dim, 2 * g.height, 2 * g.width, device=device,
                            generator=rollout.generator)
        rollout.commit(rollout.denoise(noise, start), start)
    for hook in hooks:
        hook.remove()
    return sums


@torch.no_grad()
def narrow(state, layer, width, products):
    """Cuts a layer's feed-forward in `state` to `width` hidden units: those whose output has the largest mean square
    stay, and what they give is refitted to what all gave."""
    names = [f"blocks.{layer}.ffn.{n}" for n in ("0.weight", "0.bias", "2.weight", "2.bias")]
    inside, inner_bias, outside, bias = (state[n] for n in names)
    products = products.double().to(inside.device)
    power = products.diagonal()[:-1] * outside.double().square().sum(0)
    kept = power.topk(width).indices.sort().values
    units = torch.cat([kept, kept.new_tensor([len(power)])])  # and the bias
    square = products[units][:, units]
    square = square + 1e-4 * square.diagonal().mean() * torch.eye(len(units)).to(square)
    fitted = torch.linalg.solve(square, products[units] @ torch.cat([outside, bias[:, None]], 1).double().T).T.float()
    for name, value in zip(names, (inside[kept], inner_bias[kept], fitted[:, :-1], fitted[:, -1])):
        state[name] = value.contiguous()


def load_text(encoder, folder):
    """Of a run's files or exported ones; one of another vocabulary (spiece.model in the folder) is adapted. Returns the
    encoder as it was."""
    text = {k: v.float() for k, v in load_file(f"{folder}/umt5.safetensors").items()}
    theirs, key, own = umt5.build_from_state_dict(text), "token_embedding.weight", encoder.state_dict()
    if os.path.exists(f"{folder}/spiece.model"):
        rows = own[key].clone()
        adopt_pieces(rows, text[key].to(rows), Tokenizer(f"{folder}/spiece.model").pieces, Tokenizer().pieces)
        text[key] = rows
    encoder.load_state_dict(text)
    return theirs


def load(model, folder):
    """A run's files or exported ones, a wider feed-forward narrowed."""
    state, text = load_state(folder), load_text(model.text, folder)
    inner, wanted = len(state["blocks.0.ffn.0.bias"]), model.transformer.geometry.ffn_dim
    if inner > wanted:
        wide = WanTransformer(replace(model.transformer.geometry, ffn_dim=inner))
        wide.load_state_dict(state)
        pieces = f"{folder}/spiece.model"
        tokenizer = Tokenizer(pieces if os.path.exists(pieces) else None)
        for layer, sums in enumerate(hidden_products(wide.to(DEVICE), text.to(DEVICE), tokenizer)):
            narrow(state, layer, wanted, sums.cpu())
    model.transformer.load_state_dict(state)


def reading_layout(layout):
    """As many frame blocks as `layout`, those of two windows in three and every second video start are first blocks."""
    fewer = replace(layout, windows=-(-layout.windows // 3), starts=-(-layout.starts // 2))
    return replace(fewer, firsts=fewer.firsts + sum(layout.sizes()) - sum(fewer.sizes()))


def train(model, average, pools, layout, options, log):
    starts, middles, firsts = pools
    trainer = Trainer(model.named_parameters(), model.matrices(), muon_rate=options.rate, adam_rate=options.rate / 3,
                      weight_decay=0.03, clip=1.0, average_span=300)
    trainer.average = dict(average.named_parameters())
    for p in trainer.average.values():
        p.requires_grad_(False)
    begin = shared(elapsed())  # of several processes all decide alike, by the first one's clock
    saved = elapsed()
    drawing, rolling, records, own_error, turn, began_own = 0.0, 0.0, [], float("nan"), 0, None
    own_from = OWN_FROM if options.own_from is None else options.own_from
    own_store = OwnFirsts(4 if options.toy else 256)
    while (now := shared(elapsed())) < options.seconds:
        low, high = options.part
        progress = low + (high - low) * (now - begin) / (options.seconds - begin)
        reading = progress < options.reading_until
        if drawing < (0.2 if reading else 0.1) * (now - begin):
            before = elapsed()
            (firsts if reading else pools[turn % 3]).refresh()
            synchronize()
            turn += 1
            drawing = shared(drawing + elapsed() - before)
        if progress > own_from and began_own is None:
            began_own = now
        if progress > own_from and rolling < 0.12 * (now - began_own):
            before = elapsed()
            pool = (starts, middles, middles)[turn % 3]
            own_error = make_own_context(average, pool, min(pool.n, options.rollouts))
            turn += 1
            rolling = shared(rolling + elapsed() - before)
        own_share, own_firsts = 0, None
        if progress > own_from:
            if own_store.left() < layout.firsts // 2:
                own_store.refill(average, firsts)
            own_share, own_firsts = OWN_SHARE, own_store.take(layout.firsts // 2)
        batch = (Batch(reading_layout(layout), starts, middles, firsts, 0, None, READING_NOISE, READING_WEIGHTS)
                 if reading else Batch(layout, starts, middles, firsts, own_share, own_firsts))
        loss, errors = batch.loss(model)
        norm = trainer.step(loss, rate_factor(trainer.steps, progress, hold=0.4, warm=100))
        if not math.isfinite(norm):
            log("step", trainer.steps, "was not finite: back to the last good state")
            if trainer.restored > 30:
                raise RuntimeError("too many steps were not finite")
        records.append(errors)
        if trainer.steps % 100 == 0 or trainer.steps in (1, 2, 5, 20, 50):
            mean = torch.stack(records).nanmean(0)
            memory = torch.cuda.max_memory_allocated() / 2 ** 30 if DEVICE.type == "cuda" else 0.0
            log("step", trainer.steps, "progress", progress, "loss", loss.item(), "gradient", norm,
                "x0 error at sigma 1, .83, .63: later",
                rounded(mean[0], 4), "start", rounded(mean[1], 4), "first", rounded(mean[2], 4), "own videos",
                own_error,
                "own first blocks", own_store.error,
                "ms/step %.0f" % (1000 * (elapsed() - begin) / max(1, trainer.steps)), "GiB %.0f" % memory)
            records = []
        if RANK == 0 and elapsed() - saved > 60:
            save(average, options.out)
            saved = elapsed()
    log("trained", trainer.steps, "steps,", trainer.restored, "restored; drawing", drawing, "s, own videos", rolling,
        "s")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--vae", required=True)
    parser.add_argument("--seconds", type=float, default=660)
    parser.add_argument("--resume")
    parser.add_argument("--text", help="output of train_text.py: its encoder in place of that of --resume")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--part", type=float, nargs=2, default=(0.0, 1.0), help="of the schedule")
    parser.add_argument("--own-from", type=float, help="part of the schedule after which own videos are seen")
    parser.add_argument("--reading-until", type=float, default=0.0,
                        help="part of the schedule until which most of a step are first blocks of pure noise")
    parser.add_argument("--pools", type=float, default=1.0, help="share of the usual number of videos in the pools")
    parser.add_argument("--judge", type=int, nargs=2, default=(72, 80), help="held-out sentences, blocks of each")
    parser.add_argument("--toy", action="store_true")
    options = parser.parse_args()
    toy, share = options.toy, options.pools / RANKS
    tables = not toy or "WORLD_TABLES" in os.environ
    painting = start_painting() if tables else None
    options.rollouts = 2 if toy else 64
    log = set_up(2, options.out)
    vae = train_vae.load(options.vae).to(DEVICE).eval().requires_grad_(False)
    train_vae.decode_many_shapes(log)
    tokenizer = Tokenizer()
    if tables:
        paint_tables(painting)
        log("painted the world's tables")
    seed = int(1e6 * elapsed()) if options.resume else 11
    seed += 7919 * RANK
    pool_options = [(vae, tokenizer, torch.Generator().manual_seed(seed + i)) for i in range(3)]
    starts = VideoPool(1 if toy else int(320 * share), 16, True, *pool_options[0])
    middles = VideoPool(1 if toy else int(640 * share), 16, False, *pool_options[1])
    log("drew", starts.n, "video starts and", middles.n, "videos from the middle")
    firsts = FirstPool(4 if toy else int(4096 * share), 2 if toy else 256, *pool_options[2])
    synchronize()
    log("drew the first blocks of", firsts.n, "captions; latents' mean and standard deviation",
        rounded(middles.data["latents"].float().mean()),
        rounded(middles.data["latents"].float().std()), "mask", rounded(middles.data["mask"].float().mean()))

    torch.manual_seed(5)
    model = Model(TOY if toy and not options.resume else Geometry(), tokenizer.vocabulary).to(DEVICE)
    if options.resume:
        load(model, options.resume)
    if options.text:
        load_text(model.text, options.text)
    log("parameters", {n: sum(p.numel() for p in m.parameters()) for n, m in model.named_children()})
    broadcast(p.data for p in model.parameters())
    torch.manual_seed(6 + RANK)
    average = copy.deepcopy(model)
    average.transformer.run_blocks = None  # bound to the trained copy; the average only generates
    if DEVICE.type == "cuda":
        model.transformer.compile_blocks()
    windows, starts_each, firsts_each = (-(-n // RANKS) for n in (18, 8, 112))
    layout = Layout(1, 1, 1, 2) if toy else Layout(windows, 2, starts_each, firsts_each)
    train(model, average, (starts, middles, firsts), layout, options, log)
    if RANK > 0:
        return
    save(average, options.out)
    log("saved")
    if options.part[1] < 1:
        return
    del model, starts, middles, firsts
    judge_of = classifier.load_or_train([options.vae, options.out], options.out, log, toy)
    videos, blocks = (2, 3) if toy else options.judge
    evaluate.judge(average, vae, tokenizer, judge_of, log, options.out, videos, blocks)


if __name__ == "__main__":
    main()
