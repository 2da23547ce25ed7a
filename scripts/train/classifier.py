"""A small classifier that reads a video's attributes off two frames a quarter second apart. Trained on drawn videos; it
judges true videos, autoencoder reconstructions and generated videos alike.

    python3 classifier.py OUT_FOLDER [--videos N] [--steps N]
"""
import argparse
import os

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

import world
from common import DEVICE, DTYPE, rounded, set_up
from videos import TASKS, chunks, draw_parameters, truth

GAP = 4  # frames between the two that the classifier sees


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()

        def layer(inputs, outputs, stride):
            return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs), nn.ReLU())
        sizes = [(6, 32, 1), (32, 48, 2), (48, 64, 1), (64, 96, 2), (96, 128, 1), (128, 192, 2), (192, 192, 1)]
        self.features = nn.Sequential(*[layer(*s) for s in sizes])
        self.heads = nn.Linear(2 * 192, sum(TASKS.values()))

    def forward(self, first, second):
        """Two frames [B, 3, H, W] in [0, 1], of 288x512 or half of it -> logits per task."""
        x = F.adaptive_avg_pool2d(torch.cat([first, second], 1), (72, 128)) * 2 - 1
        return self.read(x)

    def read(self, x):
        y = self.features(x)
        y = self.heads(torch.cat([y.mean((2, 3)), y.amax((2, 3))], 1))
        return dict(zip(TASKS, y.split(list(TASKS.values()), 1)))


@torch.no_grad()
def draw_pairs(n, generator):
    params = world.to(draw_parameters(n, generator), DEVICE)
    first = torch.randint(0, 1000, (n,), generator=generator)
    first = torch.where(torch.rand(n, generator=generator) < 0.3, first % 120, first).to(DEVICE)  # while cameras move
    x = torch.empty(n, 6, 72, 128, dtype=DTYPE, device=DEVICE)
    for part in chunks(n, 2048):  # many at once: drawing goes by landscape and season
        for k in (0, 1):
            frame = world.render_halved(world.take(params, part), first[part] + k * GAP, 1)[:, 0]
            x[part, 3 * k:3 * k + 3] = (F.avg_pool2d(frame, 2) * 2 - 1).to(DTYPE)
    return truth(params, first), x


def soften(x):
    """Blur, noise and brightness changes, so that the classifier also reads softer frames than true ones."""
    if torch.rand(()) < 0.5:
        x = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return x + torch.randn_like(x) * 0.06 * torch.rand(()).item()


def train(videos, steps, generator, log, batch=256):
    params, x = draw_pairs(videos, generator)
    model, kept = Classifier().to(DEVICE), videos * 15 // 16
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.02)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1, (step + 1) / 30) * (1 - step / steps)
        index = torch.randint(0, kept, (min(batch, kept),), device=DEVICE)
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=DEVICE.type == "cuda"):
            logits = model.read(soften(x[index].float()))
            loss = sum(F.cross_entropy(logits[task].float(), params[task][index], ignore_index=-1) for task in TASKS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        logits = [model.read(x[part].float()) for part in chunks(videos, 256) if part.start >= kept - 256]
        start = videos - sum(len(next(iter(l.values()))) for l in logits)
        wanted = {t: params[t][start:][-(videos - kept):] for t in TASKS}
        hits = {t: torch.cat([l[t] for l in logits]).argmax(1)[-(videos - kept):] == wanted[t] for t in TASKS}
    log("classifier on true videos", rounded({t: h[wanted[t] >= 0].float().mean() for t, h in hits.items()}))
    return model


@torch.no_grad()
def logits_of(model, clip):
    """clip [n, T > GAP, 3, 288, 512] -> logits per task."""
    return model(clip[:, 0].float(), clip[:, GAP].float())


def read(model, clip, truth):
    """Share of the videos whose attributes are read off the clip as `truth` [n] tells; -1 in it: not told. "both":
    videos of two actors, both with their own colours."""
    logits = logits_of(model, clip)
    hits = {t: logits[t].argmax(1) == wanted for t, wanted in truth.items()}
    shares = {t: float(hits[t][wanted >= 0].float().mean()) for t, wanted in truth.items()}
    four = ("actor", "color", "actor2", "color2")
    if all(t in truth for t in four):
        told = torch.stack([truth[t] >= 0 for t in four]).all(0)
        shares["both"] = float(torch.stack([hits[t] for t in four]).all(0)[told].float().mean())
    return shares


def save(model, path):
    save_file({k: v.half().contiguous() if v.is_floating_point() else v for k, v in model.state_dict().items()}, path)


def load(path):
    model = Classifier().to(DEVICE)
    model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in load_file(path).items()})
    return model.eval()


def load_or_train(folders, out, log, toy=False):
    """The classifier saved in one of the folders, or a newly trained one (30 s of a GPU), saved in `out`."""
    for folder in folders:
        if os.path.exists(f"{folder}/classifier.safetensors"):
            return load(f"{folder}/classifier.safetensors")
    model = train(*((64, 4) if toy else (12000, 900)), torch.Generator().manual_seed(3), log)
    save(model, f"{out}/classifier.safetensors")
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--videos", type=int, default=12000)
    parser.add_argument("--steps", type=int, default=900)
    options = parser.parse_args()
    log = set_up(3, options.out)
    save(train(options.videos, options.steps, torch.Generator().manual_seed(3), log),
         f"{options.out}/classifier.safetensors")
