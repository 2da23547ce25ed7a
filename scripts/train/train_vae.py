"""Trains the demo model's video autoencoder on the drawn world; writes encoder.safetensors, decoder.safetensors
(float16, latent statistics folded in), classifier.safetensors, log.txt and vae.jpg.

    python3 train_vae.py OUT_FOLDER --seconds 560 [--resume FOLDER] [--part 0 0.6]      one GPU of 80 GB or more
    torchrun --nproc-per-node 4 train_vae.py OUT_FOLDER ...                              four of them
    python3 train_vae.py OUT_FOLDER --seconds 60 --toy                                   a check on a CPU

The encoder sees videos at 256x144, the means of 2x2 pixels; the decoder is trained to give the 512x288 of the drawing.
`--resume` continues from an earlier run's folder, or from exported files such as assets/demo, also of smaller widths or
the plain head. `--part` says which part of the whole schedule this process is; only the last part is judged.
`--decoder-only` leaves the encoder, and so the latents, as they are. Recipe: docs/demo-model.md.
"""
import argparse
import copy
import math
import os

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

import classifier
import pack
import wan_vae
import world
from common import (DEVICE, DTYPE, RANK, RANKS, broadcast, elapsed, grid, rounded, save_image, set_up, shared,
                    synchronize)
from videos import FramePool, draw_parameters, frames, paint_tables, start_painting, truth
from optim import Trainer, rate_factor
from wan_vae import DECODER_WIDTHS, CausalConv3d, WanVAE

# until which part of the time, in turn: clips x frames x height x width of a step (as the encoder sees them)
CROPS, LONG, LONGEST = (16, 13, 96, 128), (3, 49, 144, 256), (1, 121, 144, 256)
PHASES = [(0.35, [CROPS]), (0.6, [CROPS, LONG]), (1.0, [CROPS, LONG, LONGEST])]
TOY_PHASES = [(0.5, [(1, 5, 48, 64)]), (1.0, [(1, 5, 48, 64), (1, 9, 48, 64)])]
KL_WEIGHT = 2e-4
ACTOR_WEIGHT = 3.0
# wanted of true videos' (averaged weights give 0.06 less than trained ones); from that part of the schedule on
SHARPNESS, SHARPNESS_FROM, MOST_SHARPENING = 0.97, 0.1, 0.5


def channels_last(x):
    return x.to(DTYPE).contiguous(memory_format=torch.channels_last_3d)


def decode_many_shapes(log):
    """Prepares for clips of many shapes, each decoded now and then."""
    if DEVICE.type == "cuda":
        use_fused_norm(log)
        torch.backends.cudnn.benchmark = False


def use_fused_norm(log):
    """Replaces the norm and SiLU by the GPU kernel, after holding it against the formula; not where Triton fails."""
    try:
        import fused_norm
        log("fused norm and SiLU: worst relative error %.1e" % fused_norm.check())
        wan_vae.Kernels.norm_silu = staticmethod(fused_norm.norm_silu)
    except Exception as error:  # slower, and the same function
        log("without the fused norm and SiLU:", repr(error))


def timed(function, repeats=4):
    function()
    function()
    synchronize()
    start = elapsed()
    for _ in range(repeats):
        function()
    synchronize()
    return (elapsed() - start) / repeats


def choose_convolutions(vae, x, log):
    """Measures every distinct 3x3x3 convolution both as a 3-D and as a stacked 2-D convolution and keeps the faster
    one."""
    inputs, best = {}, {}
    layers = [m for m in vae.modules() if isinstance(m, CausalConv3d) and m.past and m.kernel_size[1] > 1]
    hooks = [m.register_forward_hook(lambda m, args, y: inputs.__setitem__(m, args[0].shape)) for m in layers]
    with torch.no_grad():
        vae.decode_raw(channels_last(vae.posterior(x)[0]))
    for hook in hooks:
        hook.remove()
    for layer in layers:
        key = (layer.out_channels, *inputs[layer])
        if key not in best:
            probe = channels_last(torch.randn(inputs[layer], device=DEVICE)).requires_grad_(True)
            seconds = []
            for layer.stacked in (False, True):
                seconds.append(timed(lambda: layer(probe).sum().backward()))
            best[key] = seconds[1] < seconds[0]
            log("conv", key, "3-D %.2f ms, stacked 2-D %.2f ms" % tuple(1e3 * s for s in seconds))
        layer.stacked = best[key]
    for p in vae.parameters():
        p.grad = None


def steepness(x, side=16):
    """Mean differences between neighbours in squares of frames [B, T, H, W]."""
    return F.avg_pool2d((x[..., :-1, 1:] - x[..., :-1, :-1]).abs() + (x[..., 1:, :-1] - x[..., :-1, :-1]).abs(), side)


def reconstruction_loss(output, target, mask, sharpening):
    """The loss over frames [B, 3, T, H, W], the mean square error, and how steep the frames are against true ones.

    What the latents leave uncertain comes out blurred, at the median of the differences between neighbours;
    `sharpening` (a tensor, below the weight of these differences) moves it until squares are as steep as true ones."""
    output = output.float()
    d = output - target
    weight = 1 + ACTOR_WEIGHT * mask
    edges = (d[..., 1:] - d[..., :-1]).abs().mean() + (d[..., 1:, :] - d[..., :-1, :]).abs().mean() \
        + 0.5 * (d[:, :, 1:] - d[:, :, :-1]).abs().mean()
    chroma = ((d - d.mean(1, keepdim=True)).abs() * weight).mean()
    made, true = (steepness(x.mean(1)) for x in (output, target))
    loss = (d.abs() * weight).mean() + 8 * (d.square() * weight).mean() + 0.6 * edges + 0.5 * chroma \
        + sharpening * (made - true).abs().mean()
    return loss, d.square().mean(), made.mean() / true.mean().clamp(min=1e-6)


class Loss:
    """The loss as a trainer computes it: compiled on a GPU."""
    function = staticmethod(reconstruction_loss)

    @classmethod
    def compile(cls):
        torch._dynamo.config.suppress_errors = True  # then it is slower, and the same
        cls.function = staticmethod(torch.compile(reconstruction_loss, dynamic=False))


class Sharpening:
    """Turns the weight of steepness up while frames are less steep than wanted, down while they are steeper."""

    def __init__(self):
        self.weight, self.ratio = torch.zeros((), device=DEVICE), torch.ones((), device=DEVICE)

    def update(self, ratio, on):
        self.ratio = torch.where(ratio.isfinite(), self.ratio.lerp(ratio, 0.02), self.ratio)
        if on:
            self.weight = (self.weight + 0.01 * (SHARPNESS - self.ratio)).clamp(0, MOST_SHARPENING)


def halved(x):
    """Means over 2x2 pixels of [B, C, T, H, W]."""
    return F.avg_pool2d(x.transpose(1, 2).flatten(0, 1), 2).unflatten(0, (x.shape[0], -1)).transpose(1, 2)


def vae_step(vae, target, mask, sharpening):
    """One training pass over frames [B, 3, T, 2H, 2W]: loss, and for the log mean square error, KL and steepness."""
    mean, log_variance = (t.float() for t in vae.posterior(channels_last(halved(target))))
    log_variance = log_variance.clamp(-12, 2)
    raw = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
    output = vae.decode_raw(channels_last(raw))
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
    loss, error, ratio = Loss.function(output, target, mask, sharpening)
    return loss + KL_WEIGHT * kl, error.detach(), kl.detach(), ratio.detach()


def is_matrix(name, p):
    return p.ndim >= 4 and p[0].numel() > 32 and p.shape[0] > 8


@torch.no_grad()
def latent_statistics(vae, pool, clips):
    means = []
    for i in range(min(clips, pool.n)):
        x = pool.clips[i:i + 1, :min(pool.length, 49), :3].transpose(1, 2).float() / 127.5 - 1
        means.append(vae.posterior(channels_last(halved(x)))[0].float()[0].flatten(1))
    means = torch.cat(means, 1)
    return means.mean(1), means.std(1)


def averaged(vae, trainer, pool, clips):
    """A copy with the averaged weights and, if the encoder was trained, the latent statistics folded in."""
    result = copy.deepcopy(vae).eval().requires_grad_(False)
    for name, p in result.named_parameters():
        if name in trainer.average:
            p.data.copy_(trainer.average[name])
    if "conv1.weight" in trainer.average:
        result.fold_statistics(*latent_statistics(result, pool, clips))
    return result


def save(vae, out):
    state = {k: v.detach().cpu().contiguous() for k, v in vae.state_dict().items()}
    for part in ("encoder", "decoder"):
        own = {k: v for k, v in state.items() if k.startswith((part, "conv1." if part == "encoder" else "conv2."))}
        save_file({k: v.half() for k, v in own.items()}, f"{out}/{part}.new")
        os.replace(f"{out}/{part}.new", f"{out}/{part}.safetensors")


def load_state(folder):
    """Of a training run's two files, of the exported wan_vae.safetensors, or of a file that pack.py made."""
    if os.path.isfile(folder):
        return pack.load(folder)
    parts = [f"{folder}/{part}.safetensors" for part in ("encoder", "decoder")]
    parts = parts if os.path.exists(parts[0]) else [f"{folder}/wan_vae.safetensors"]
    return {k: v for part in parts for k, v in load_file(part).items()}


def load(folder):
    return wan_vae.build_from_state_dict(load_state(folder))


def sharpness(frames):
    """Mean difference between neighbours of frames [T, 3, H, W]."""
    grey = frames.mean(1)
    return float((grey[:, :, 1:] - grey[:, :, :-1]).abs().mean() + (grey[:, 1:] - grey[:, :-1]).abs().mean())


@torch.no_grad()
def judge(vae, generator, videos, length, log, out):
    """PSNR and sharpness along unseen videos, a sheet of them. Returns what `read_back` takes."""
    params = world.to(draw_parameters(videos, generator), DEVICE)
    psnr, true, made, rows, edges = [], [], [], [], []
    moments = sorted({0, min(40, length // 3), length // 2, length - 6})
    for i in range(videos):
        video = world.take(params, slice(i, i + 1))
        x = frames(video, torch.zeros(1, dtype=torch.long, device=DEVICE), length).transpose(1, 2).float() / 127.5 - 1
        y = vae.decode(vae.encode(channels_last(halved(x))), dtype=DTYPE).float().clamp(-1, 1)
        psnr.append(10 * torch.log10(4 / (y - x).square().mean((0, 1, 3, 4))))
        x, y = ((0.5 * t[0].transpose(0, 1) + 0.5) for t in (x, y))
        edges.append([sharpness(t[::8]) for t in (x, y)])
        for kept, clip in ((true, x), (made, y)):
            kept.append(torch.stack([clip[m:m + classifier.GAP + 1] for m in moments]))
        if i < 12:
            rows.append([x[0], y[0], x[length - 1], y[length - 1]])
    psnr = torch.stack(psnr)
    parts = torch.stack([p.mean() for p in psnr.mean(0).chunk(8)])
    log("PSNR on", videos, "unseen videos of", length, "frames: mean", rounded(psnr.mean(), 2), "first",
        rounded(psnr[:, 0].mean(), 2), "last", rounded(psnr[:, -1].mean(), 2), "by eighths", rounded(parts, 2),
        "worst video", rounded(psnr.mean(1).min(), 2))
    for key, names in (("scene", world.SCENES), ("weather", world.WEATHER), ("time", world.TIMES)):
        log("PSNR by", key, {name: rounded(psnr[params[key] == i].mean(), 1) for i, name in enumerate(names)})
    edges = torch.tensor(edges).mean(0)
    log("sharpness of true videos and of reconstructions", rounded(edges, 4), "ratio", rounded(edges[1] / edges[0]))
    save_image(f"{out}/vae.jpg", grid(rows))
    return params, moments, true, made


def read_back(judge_of, params, moments, true, made, log):
    """What the classifier reads off true videos and their reconstructions."""
    for name, clips in (("true videos", true), ("reconstructions", made)):
        for moment, clip in zip(moments, torch.stack(clips, 1)):
            seen = truth(params, torch.full((len(clip),), moment, device=DEVICE))
            log("classifier on", name, "frame", moment, rounded(classifier.read(judge_of, clip, seen)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--seconds", type=float, default=510)
    parser.add_argument("--resume")
    parser.add_argument("--part", type=float, nargs=2, default=(0.0, 1.0), help="of the schedule")
    parser.add_argument("--decoder", type=int, nargs=4, default=DECODER_WIDTHS, help="widths, highest resolution first")
    parser.add_argument("--rate", type=float, default=7e-3)
    parser.add_argument("--hold", type=float, default=0.4, help="part of the schedule with the full rate")
    parser.add_argument("--decoder-only", action="store_true")
    parser.add_argument("--clips", type=int, default=384, help="drawn at first")
    parser.add_argument("--no-classifier", action="store_true")
    parser.add_argument("--toy", action="store_true")
    options = parser.parse_args()
    tables = not options.toy or "WORLD_TABLES" in os.environ
    painting = start_painting() if tables else None
    log = set_up(1, options.out)
    generator = torch.Generator().manual_seed((int(1000 * elapsed()) if options.resume else 1) + 7919 * RANK)
    phases = TOY_PHASES if options.toy else PHASES

    vae = WanVAE(decoder_widths=tuple(options.decoder))
    if options.resume:
        log("continues", options.resume, "with", wan_vae.adopt(vae, load_state(options.resume)),
            "tensors of other shapes")
    vae = vae.to(DEVICE)
    count = {part: sum(p.numel() for p in getattr(vae, part).parameters()) for part in ("encoder", "decoder")}
    log("parameters", count)
    if DEVICE.type == "cuda":
        Loss.compile()
        use_fused_norm(log)
        clips, *shape = CROPS
        choose_convolutions(vae, channels_last(torch.rand(clips, 3, *shape, device=DEVICE)), log)
        log("convolutions chosen")
    if tables:
        paint_tables(painting)
        log("painted the world's tables")
    began = elapsed()
    longest = max(shape[1] for _, shapes in phases for shape in shapes)
    pool = FramePool(3 if options.toy else options.clips, longest, generator, 2 if options.toy else 8)
    synchronize()
    shades = pool.clips[:, ::10, :3, ::4, ::4].float()
    log("drew", pool.n, "clips of", pool.length, "frames,", pool.n * pool.length / (elapsed() - began),
        "frames a second; mean and deviation", rounded(shades.mean(), 2), rounded(shades.std(), 2))

    if options.decoder_only:
        vae.encoder.requires_grad_(False)
        vae.conv1.requires_grad_(False)
    broadcast(p.data for p in vae.parameters())
    trained = [(n, p) for n, p in vae.named_parameters() if p.requires_grad]
    trainer = Trainer(trained, [n for n, p in trained if is_matrix(n, p)], muon_rate=options.rate,
                      adam_rate=options.rate * 2 / 7, weight_decay=0.1, clip=0.5, average_span=250)
    train(vae, trainer, pool, phases, options, log)
    if RANK > 0:
        return
    result = averaged(vae, trainer, pool, 2 if options.toy else 128)
    save(result, options.out)
    log("saved after", trainer.steps, "steps,", trainer.restored, "restored")
    toy = options.toy
    seen = judge(result, torch.Generator().manual_seed(99), 1 if toy else 24, 17 if toy else 241, log, options.out)
    if options.part[1] < 1 or options.no_classifier:
        return
    judge_of = classifier.train(64 if toy else 12000, 4 if toy else 900, torch.Generator().manual_seed(3), log)
    classifier.save(judge_of, f"{options.out}/classifier.safetensors")
    read_back(judge_of, *seen, log)
    log("judged")


def train(vae, trainer, pool, phases, options, log):
    start = shared(elapsed())  # of several processes all decide alike, by the first one's clock
    saved = told = elapsed()
    drawing, errors, sharpening = 0.0, [], Sharpening()
    while (now := shared(elapsed())) < options.seconds:
        low, high = options.part
        progress = low + (high - low) * (now - start) / (options.seconds - start)
        shapes = next(p[1] for p in phases if progress < p[0])
        if drawing < 0.05 * (now - start):
            pool.refresh()
            synchronize()
            drawing = shared(drawing + elapsed() - now)
        clips, *shape = shapes[trainer.steps % len(shapes)]
        loss, error, kl, ratio = vae_step(vae, *pool.batch(-(-clips // RANKS), *shape), sharpening.weight)
        sharpening.update(ratio, progress > SHARPNESS_FROM)
        norm = trainer.step(loss, rate_factor(trainer.steps, progress, options.hold))
        if not math.isfinite(norm):
            log("step", trainer.steps, "was not finite: back to the last good state")
            if trainer.restored > 30:
                raise RuntimeError("too many steps were not finite")
        errors.append(error)
        if trainer.steps % 50 == 0 or trainer.steps in (1, 2, 5, 20):
            mean = torch.stack(errors).nanmean().item()
            memory = torch.cuda.max_memory_allocated() / 2 ** 30 if DEVICE.type == "cuda" else 0.0
            log("step", trainer.steps, "progress", progress, "loss", loss.item(), "PSNR", 10 * math.log10(4 / mean),
                "KL", kl.item(), "steepness", sharpening.ratio.item(), "by", sharpening.weight.item(), "gradient", norm,
                "ms/step %.0f" % (1000 * (elapsed() - told) / len(errors)),
                "drawing %.0f s" % drawing, "GiB %.0f" % memory)
            told, errors = elapsed(), []
        if RANK == 0 and elapsed() - saved > 90:
            save(averaged(vae, trainer, pool, 32), options.out)
            saved = elapsed()


if __name__ == "__main__":
    main()
