"""Judges generated videos: minutes from sentences that no training caption contains, and videos whose prompt changes
half-way.

    python3 evaluate.py OUT_FOLDER --vae FOLDER --model FOLDER [--videos 48] [--blocks 80]
"""
import argparse
import random

import torch

import captions
import classifier
import world
from common import DEVICE, DTYPE, elapsed, grid, rounded, save_image, synchronize
from videos import TASKS, draw_parameters
from latents import FRAMES
from prompts import caption_ids
from rollout import Rollout

HISTORY = 9  # latent frames decoded before those that are evaluated
NAMES = {"scene": world.SCENES, "time": world.TIMES, "weather": world.WEATHER, "actor": world.ACTORS,
         "color": world.COLORS}


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
    """Frames `moment` to `moment` + 4 of every video, [n, 5, 3, 144, 256] in [0, 1], decoded with enough history."""
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


def held_out(count):
    """The held-out sentences and their attributes as numbers; -1 where a sentence leaves one open."""
    rows = captions.HELD_OUT_SENTENCES[:count]
    numbers = {k: torch.tensor([names.index(r[k]) if r[k] is not None else -1 for r in rows])
               for k, names in NAMES.items()}
    return [r["text"] for r in rows], numbers


@torch.no_grad()
def judge(model, vae, tokenizer, judge_of, log, out, videos=48, blocks=80):
    began = elapsed()
    sentences, truth = held_out(videos)
    truth = {k: v.to(DEVICE) for k, v in truth.items()}
    rows = model.text(tokenizer(sentences).to(DEVICE), DTYPE)
    z = generate(model, rows, blocks, seed=7)
    synchronize()
    log("generated", len(sentences), "videos of", blocks, "blocks in", elapsed() - began, "s; latents' deviation",
        rounded(z.std()))
    sheet, drift = [], []
    for moment in moments_of(blocks):
        clip = moment_frames(vae, z, moment)
        log(f"held-out sentences, {moment / 16:5.1f} s:", rounded(classifier.read(judge_of, clip, truth), 2))
        drift.append(rounded(frame_statistics(clip[:, 0]).mean(0)))
        sheet.append(clip[:14, 0])
    log("brightness, contrast, saturation, sharpness at those moments:", drift)
    save_image(f"{out}/videos.png", grid(zip(*sheet)))
    judge_changes(model, vae, tokenizer, judge_of, log, out, videos // 2, blocks)
    log("judged in", elapsed() - began, "s")


@torch.no_grad()
def judge_changes(model, vae, tokenizer, judge_of, log, out, videos, blocks):
    """Videos of training-like captions that change half-way, against the true videos' statistics."""
    half = blocks // 2
    change = torch.full((videos,), 12 * half - 3)
    params = draw_parameters(videos, torch.Generator().manual_seed(77), 1.0, change)
    rng = random.Random(5)
    rows = [model.text(caption_ids(params, tokenizer, rng, 1, second)[:, 0].to(DEVICE), DTYPE)
            for second in (False, True)]
    params = world.to(params, DEVICE)
    z = generate(model, rows[0], blocks, seed=8, second_rows=rows[1], change=half)
    sheet = []
    for moment in moments_of(blocks):
        changed = moment >= 12 * half - 3
        truth = {t: params[{"time": "time2", "weather": "weather2"}.get(t, t) if changed else t] for t in TASKS}
        clip = moment_frames(vae, z, moment)
        true = world.render(params, torch.full((videos,), moment, device=DEVICE), 1)[:, 0]
        log(f"changing prompts, {moment / 16:5.1f} s:", rounded(classifier.read(judge_of, clip, truth), 2),
            "statistics",
            rounded(frame_statistics(clip[:, 0]).mean(0)), "true", rounded(frame_statistics(true).mean(0)))
        sheet.append(clip[:10, 0])
    save_image(f"{out}/changes.png", grid(zip(*sheet)))


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
    parser.add_argument("--videos", type=int, default=48)
    parser.add_argument("--blocks", type=int, default=80)
    options = parser.parse_args()
    log = set_up(4, options.out)
    tokenizer = Tokenizer()
    model = train_transformer.Model(Geometry(), tokenizer.vocabulary).to(DEVICE)
    train_transformer.load(model, options.model)
    vae = train_vae.load(options.vae).to(DEVICE)
    judge(model, vae, tokenizer, classifier.load_or_train(options.vae, log), log, options.out, options.videos,
          options.blocks)
