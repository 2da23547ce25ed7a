"""Judges generated videos: minutes from sentences that no training caption contains (held_out.py), videos whose prompt
changes half-way, videos of sentences that leave much open and of sentences about unknown things. What a sentence leaves
open is told as the program tells it (choices.py).

    python3 evaluate.py OUT_FOLDER --vae FOLDER --model FOLDER [--videos 72] [--blocks 80]
"""
import argparse
import random

import torch

import captions
import choices
import classifier
import held_out
import world
from common import DEVICE, DTYPE, elapsed, grid, rounded, save_image, synchronize
from videos import draw_parameters, paint_tables, start_painting, truth
from latents import FRAMES, encode
from prompts import caption_ids, describe
from rollout import Rollout

HISTORY = 9  # latent frames decoded before those that are evaluated
NAMES = {"scene": world.SCENES, "time": world.TIMES, "weather": world.WEATHER, "season": world.SEASONS,
         "actor": world.ACTORS, "color": world.COLORS}
AIMS = {"scene": 0.97, "weather": 0.97, "actor": 0.97, "color": 0.97, "time": 0.95, "both": 0.9}  # shares of videos


@torch.no_grad()
def generate(model, rows, blocks, seed, second_rows=None, change=None):
    """Videos [n, 3 blocks, 16, 18, 32] from encoded captions [n, L, C]; from block `change` on they follow
    `second_rows`."""
    n, generator = len(rows), torch.Generator(device=DEVICE).manual_seed(seed)
    rollout = Rollout(model.transformer, rows, DTYPE, generator=generator)
    videos = []
    for block in range(blocks):
        if block == change:
            rollout.set_text(second_rows)
        start = torch.full((n,), FRAMES * block, dtype=torch.long, device=DEVICE)
        noise = torch.randn(n, FRAMES, 16, 18, 32, device=DEVICE, generator=generator)
        videos.append(rollout.denoise(noise, start))
        rollout.commit(videos[-1], start)
    return torch.cat(videos, 1)


@torch.no_grad()
def moment_frames(vae, videos, moment):
    """Frames `moment` to `moment` + 4 of every video, [n, 5, 3, 288, 512] in [0, 1], decoded with enough history."""
    latent_frame = (moment + 3) // 4
    first, last = max(0, latent_frame - HISTORY), latent_frame + 2
    result = []
    for part in videos.split(8):
        z = part[:, first:last].transpose(1, 2)
        clip = vae.decode(z, dtype=DTYPE).float().clamp(-1, 1).transpose(1, 2) * 0.5 + 0.5
        begin = moment - (4 * first if first else 0)  # a later first latent frame yields one frame, number 4 * first
        result.append(clip[:, begin:begin + classifier.GAP + 1])
    return torch.cat(result)


def frame_statistics(x):
    """Brightness, contrast, saturation, sharpness of frames [n, 3, H, W]."""
    grey = x.mean(1)
    edges = (grey[:, :, 1:] - grey[:, :, :-1]).abs().mean((1, 2)) + (grey[:, 1:] - grey[:, :-1]).abs().mean((1, 2))
    return torch.stack([grey.mean((1, 2)), grey.std((1, 2)), (x.amax(1) - x.amin(1)).mean((1, 2)), edges], 1)


def moments_of(blocks):
    """Frames at 0, 15, 30, 45 and 59 s, or in proportion."""
    frames = 12 * blocks - 3
    return [min(frames - 6, round(part * frames)) for part in (0, 0.25, 0.5, 0.75, 0.985)]


def told(rows):
    """Sentences of held_out and what they tell as numbers, for each task of the classifier but the direction; -1 where
    a sentence leaves it open. Of two actors the one that comes first in world.ACTORS is the first."""
    numbers = {k: [NAMES[k].index(r[k]) if r[k] is not None else -1 for r in rows]
               for k in ("scene", "time", "weather", "season")}
    cast = []
    for row in rows:
        pairs = sorted((world.ACTORS.index(a), -1 if c is None else world.COLORS.index(c))
                       for a, c in zip(row["actors"], row["colors"]))
        alone = [(world.NOBODY, -1)] if len(pairs) == 1 else []
        cast.append((pairs + alone + [(-1, -1)] * 2)[:2])
    for i, (actor, color) in enumerate((("actor", "color"), ("actor2", "color2"))):
        numbers[actor], numbers[color] = ([pair[i][j] for pair in cast] for j in (0, 1))
    return [r["text"] for r in rows], {k: torch.tensor(v, device=DEVICE) for k, v in numbers.items()}


def view_of(rows, moment):
    """Where the camera of each sentence has led: what `truth` calls view; -1 where none is told."""
    camera = torch.tensor([world.CAMERAS.index(r["camera"] or "follow") for r in rows], device=DEVICE)
    params = {k: torch.zeros_like(camera) for k in ("scene", "time", "time2", "weather", "weather2", "season", "actor",
                                                   "actor2", "color", "color2", "direction")}
    params |= dict(camera=camera, change=torch.full_like(camera, world.NEVER))
    return torch.where(camera > 0, truth(params, torch.full_like(camera, moment))["view"], -1)


def spread(rows, count):
    """`count` of the rows, from all over the list: its kinds stand one after another."""
    return [rows[i * len(rows) // count] for i in range(min(count, len(rows)))]


@torch.no_grad()
def judge(model, vae, tokenizer, judge_of, log, out, videos=72, blocks=80):
    """All judgements; `videos` of the held-out sentences, fewer of the others in proportion. The last lines are the
    figures that the model is made for."""
    began = elapsed()

    def rows_of(sentences):
        return model.text(tokenizer(sentences).to(DEVICE), DTYPE)

    rows = spread(held_out.SENTENCES, videos)
    sentences, numbers = told(rows)
    z = generate(model, rows_of(choices.as_the_program(sentences, seed=7)), blocks, seed=7)
    synchronize()
    log("generated", len(sentences), "videos of", blocks, "blocks in", elapsed() - began, "s; latents' deviation",
        rounded(z.std()))
    sheet, drift, shares = [], [], []
    for moment in moments_of(blocks):
        clip = moment_frames(vae, z, moment)
        shares.append(classifier.read(judge_of, clip, numbers | {"view": view_of(rows, moment)}))
        log(f"held-out sentences, {moment / 16:5.1f} s:", rounded(shares[-1], 3))
        drift.append(rounded(frame_statistics(clip[:, 0]).mean(0)))
        sheet.append(small(clip[:, 0]))
    log("brightness, contrast, saturation, sharpness at those moments:", drift)
    save_sheets(f"{out}/videos", sheet)
    followed = judge_hints(model, vae, rows_of, judge_of, log, out, max(2, videos * 40 // 72), blocks)
    judge_changes(model, vae, tokenizer, judge_of, log, out, max(2, videos // 3), blocks)
    judge_open(model, vae, rows_of, judge_of, log, out, max(2, videos * 20 // 72), max(3, blocks // 4))
    places = places_of_seeds(model, vae, tokenizer, max(2, videos // 6))
    for task, aim in AIMS.items():
        log(f"aim: {task}, first and last second", rounded([shares[0][task], shares[-1][task]], 3), "wanted", aim)
    log("aim: changes followed in the last second", rounded(followed, 3), "wanted 0.95")
    log("aim: different places in four seeds", places, "wanted 2.5 of 4")
    log("judged in", elapsed() - began, "s")


def small(frames):
    """Frames [n, 3, H, W] at a quarter of the area, for sheets."""
    return torch.nn.functional.avg_pool2d(frames.float(), 2)


def save_sheets(path, columns, rows=18):
    """Images of at most so many videos each, one a row, from lists of [n, 3, H, W]."""
    for i in range(0, len(columns[0]), rows):
        save_image(f"{path}-{i // rows}.jpg", grid(zip(*(c[i:i + rows] for c in columns))))


@torch.no_grad()
def judge_hints(model, vae, rows_of, judge_of, log, out, videos, blocks):
    """Changes by sentences that people wrote, many of which only hint at the new time or weather: how many are
    followed, and whether landscape and actor stay. Returns the share of those that are followed to the end."""
    rows, half = spread(held_out.CHANGES, videos), blocks // 2
    chosen = [choices.choose(r["first"], 9 + i) for i, r in enumerate(rows)]
    first, second = (rows_of([choices.encoded(r[k], c) for r, c in zip(rows, chosen)]) for k in ("first", "second"))
    z = generate(model, first, blocks, 9, second, half)
    wanted = {key: torch.tensor([names.index(r[key]) if r[key] else -1 for r in rows], device=DEVICE)
              for key, names in (("time", world.TIMES), ("weather", world.WEATHER))}
    moments = [12 * half - 9, *moments_of(blocks)[3:]]
    clips = [moment_frames(vae, z, m) for m in moments]
    before = {t: v.argmax(1) for t, v in classifier.logits_of(judge_of, clips[0]).items()}
    for moment, clip in zip(moments[1:], clips[1:]):
        kept = {t: before[t] for t in ("scene", "actor", "color", "actor2")}
        log(f"hinted changes, {moment / 16:5.1f} s:", rounded(classifier.read(judge_of, clip, wanted | kept), 3))
    logits = classifier.logits_of(judge_of, clips[-1])
    missed = [f"{r['second']!r}" for i, r in enumerate(rows)
              if any(wanted[t][i] >= 0 and logits[t][i].argmax() != wanted[t][i] for t in wanted)]
    log("not followed:", "; ".join(missed))
    save_sheets(f"{out}/hints", [small(c[:, 0]) for c in clips])
    return 1 - len(missed) / len(rows)


@torch.no_grad()
def judge_open(model, vae, rows_of, judge_of, log, out, videos, blocks):
    """Sentences that leave much open, four seeds each, and sentences about unknown things: how sure the classifier is
    of what it sees (a blur of two colours is neither), and how many different things four seeds show."""
    rows = spread(held_out.OPEN, videos)
    sentences, numbers = told(rows)
    text = rows_of([t for s in sentences for t in choices.as_the_program([s] * 4, seed=21)])
    clip = moment_frames(vae, generate(model, text, blocks, seed=21), 12 * blocks - 12)
    seen = {k: v.repeat_interleave(4) for k, v in numbers.items()}
    log("open sentences, what they tell:", rounded(classifier.read(judge_of, clip, seen), 3))
    logits = classifier.logits_of(judge_of, clip)
    for task in ("scene", "actor", "color"):
        left = seen[task] < 0
        sure = logits[task].softmax(1).amax(1)
        kinds = [len(k.unique()) for k, l in zip(logits[task].argmax(1).view(-1, 4), left.view(-1, 4)) if l[0]]
        log(f"open {task}: sure", rounded(sure[left].mean()), "least", rounded(sure[left].amin() if left.any() else 0),
            "different in four seeds", sum(kinds) / max(1, len(kinds)))
    save_sheets(f"{out}/open", list(small(clip[:, 0]).unflatten(0, (-1, 4)).unbind(1)))
    text = rows_of(choices.as_the_program(spread(held_out.UNKNOWN, videos), seed=22))
    strange = moment_frames(vae, generate(model, text, blocks, seed=22), 12 * blocks - 12)
    log("sharpness: open sentences", rounded(frame_statistics(clip[:, 0])[:, 3].mean(), 4), "unknown things",
        rounded(frame_statistics(strange[:, 0])[:, 3].mean(), 4))
    save_sheets(f"{out}/unknown", [small(strange[::2, 0]), small(strange[1::2, 0])])


@torch.no_grad()
def place_shown(vae, params, first_blocks):
    """The place whose true first block each first block is nearest to, [n]."""
    errors = []
    for start in range(world.STARTS):
        there = params | dict(start=torch.full_like(params["start"], start))
        true = encode(vae, there, torch.zeros_like(params["start"]), 4 * FRAMES - 3)[0]
        errors.append((true - first_blocks).square().flatten(1).mean(1))
    return torch.stack(errors, 1).argmin(1)


@torch.no_grad()
def places_of_seeds(model, vae, tokenizer, sentences, seeds=(7, 20, 33, 46)):
    """How many different places the videos of a sentence with these seeds show, in the mean."""
    params = draw_parameters(sentences, torch.Generator().manual_seed(78))
    told = [caption[:caption.rindex(", outlook ")] for (caption,) in describe(params, random.Random(6), 1,
                                                                              complete=True)]
    text = tokenizer([choices.encoded(s, choices.choose(s, seed)) for s in told for seed in seeds])
    first = generate(model, model.text(text.to(DEVICE), DTYPE), 1, seed=31)
    params = {k: v.repeat_interleave(len(seeds)) for k, v in world.to(params, DEVICE).items()}
    shown = place_shown(vae, params, first).view(-1, len(seeds))
    return sum(len(row.unique()) for row in shown) / sentences


@torch.no_grad()
def judge_changes(model, vae, tokenizer, judge_of, log, out, videos, blocks):
    """Videos of training-like captions that change half-way, against the true videos' statistics."""
    half = blocks // 2
    change = torch.full((videos,), 12 * half - 3)
    params = draw_parameters(videos, torch.Generator().manual_seed(77), 1.0, change)
    rng = random.Random(5)
    rows = [model.text(caption_ids(params, tokenizer, rng, 1, second, complete=True)[:, 0].to(DEVICE), DTYPE)
            for second in (False, True)]
    params = world.to(params, DEVICE)
    z = generate(model, rows[0], blocks, seed=8, second_rows=rows[1], change=half)
    place = place_shown(vae, params, z[:, :FRAMES])
    log("begin at the place that is told:", rounded((place == params["start"]).float().mean(), 3))
    sheet = []
    for moment in moments_of(blocks):
        clip = moment_frames(vae, z, moment)
        seen = truth(params, torch.full((videos,), moment, device=DEVICE))
        true = world.render(params, torch.full((videos,), moment, device=DEVICE), 1)[:, 0]
        log(f"changing prompts, {moment / 16:5.1f} s:", rounded(classifier.read(judge_of, clip, seen), 2),
            "statistics",
            rounded(frame_statistics(clip[:, 0]).mean(0)), "true", rounded(frame_statistics(true).mean(0)))
        sheet.append(small(clip[:10, 0]))
    save_sheets(f"{out}/changes", sheet)


if __name__ == "__main__":
    import train_transformer
    import train_vae
    from common import set_up
    from prompts import Tokenizer
    from wan_transformer import Geometry
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--vae", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--videos", type=int, default=72)
    parser.add_argument("--blocks", type=int, default=80)
    options = parser.parse_args()
    painting = start_painting()
    log = set_up(4, options.out)
    paint_tables(painting)
    tokenizer = Tokenizer()
    model = train_transformer.Model(Geometry(), tokenizer.vocabulary).to(DEVICE)
    train_transformer.load(model, options.model)
    vae = train_vae.load(options.vae).to(DEVICE).eval().requires_grad_(False)
    train_vae.decode_many_shapes(log)
    judge_of = classifier.load_or_train([options.vae, options.model], options.out, log)
    judge(model, vae, tokenizer, judge_of, log, options.out, options.videos, options.blocks)
