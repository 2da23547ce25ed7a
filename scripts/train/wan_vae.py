"""The Wan2.1 video autoencoder, with free channel widths, for training and for reference renders.

Parameter names are those of the published checkpoint (`encoder.*`, `conv1`, `conv2`, `decoder.*`), so a state dict is
an exportable file. Source of the architecture: Wan2.1, wan/modules/vae.py. Differences, on purpose: widths are given
per level and the encoder's and decoder's are independent; the whole clip is computed in one go, which equals the
published chunk by chunk computation; a chunked pass with history exists beside it for streaming (`decode(z, history)`).

A decoder whose head has 12 outputs makes frames of twice the size: they are planes of 2x2 pixels, colour * 4 + 2 * row
+ column (the format of Wan2.1-VAE-upscale2x); the encoder's input stays at the plain size.

Shapes: frames `[B, 3, T, 8H, 8W]` in [-1, 1], latents `[B, 16, F, H, W]`, T = 1 + 4 (F - 1); decoded frames are
`[B, 3, T, 16H, 16W]` with a head of 12 outputs.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

LATENT_MEAN = [-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
               0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921]
LATENT_STD = [2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
              3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160]
ENCODER_WIDTHS = (16, 32, 64, 64)  # of the demo model, highest resolution first
DECODER_WIDTHS = (16, 32, 96, 96)
HEAD_OUTPUTS = 12  # of the demo model's decoder: twice the size


def rms_norm(x, gamma):
    """x / max(|x|, 1e-12) * sqrt(C) * gamma over channels, in float32; the floor stands under the root for a finite
    gradient."""
    squares = x.float().square().sum(1, keepdim=True)
    return (x.float() * torch.rsqrt(squares.clamp(min=1e-24)) * x.shape[1] ** 0.5 * gamma.float()).to(x.dtype)


def rms_norm_silu(x, gamma):
    return F.silu(rms_norm(x, gamma).float()).to(x.dtype)


class Kernels:
    """Functions that a trainer may replace by compiled ones."""
    norm_silu = staticmethod(rms_norm_silu)


class Norm(nn.Module):
    def __init__(self, channels, rank=4):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, *[1] * (rank - 1)))


class CausalConv3d(nn.Conv3d):
    """3-D convolution that sees the past only: two frames of zeros, or of history, stand before the clip."""

    def __init__(self, inputs, outputs, kernel=3):
        kernel = (kernel,) * 3 if isinstance(kernel, int) else kernel
        super().__init__(inputs, outputs, kernel)
        self.past = kernel[0] - 1
        self.space = ((kernel[1] - 1) // 2, (kernel[2] - 1) // 2)
        # compute as one 2-D convolution over `past + 1` frames stacked on channels: ten times as fast on a CPU
        self.stacked = not torch.cuda.is_available()

    def forward(self, x, history=None):
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        if self.past == 0:
            return F.conv3d(x, weight, bias)
        if history is not None and self in history:
            x = torch.cat([history[self], x], 2)
        else:
            x = F.pad(x, (0, 0, 0, 0, self.past, 0))
        if history is not None:
            history[self] = x[:, :, -self.past:]
        return self.stacked_conv(x, weight, bias) if self.stacked else F.conv3d(x, weight, bias,
                                                                                padding=(0, *self.space))

    def stacked_conv(self, x, weight, bias):
        batch, channels, frames, height, width = x.shape
        frames -= self.past
        x = torch.cat([x[:, :, i:i + frames] for i in range(self.past + 1)], 1)
        y = F.conv2d(to_frames(x), weight.transpose(1, 2).flatten(1, 2), bias, padding=self.space)
        return to_clip(y, batch)


def to_frames(x):
    """[B, C, T, H, W] -> [B T, C, H, W], channels last."""
    y = x.transpose(1, 2).flatten(0, 1)
    return y.contiguous(memory_format=torch.channels_last)


def to_clip(y, batch):
    return y.unflatten(0, (batch, -1)).transpose(1, 2)


class ResidualBlock(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.residual = nn.ModuleDict({"0": Norm(inputs), "2": CausalConv3d(inputs, outputs),
                                       "3": Norm(outputs), "6": CausalConv3d(outputs, outputs)})
        self.shortcut = CausalConv3d(inputs, outputs, 1) if inputs != outputs else None
        nn.init.zeros_(self.residual["6"].bias)
        self.residual["6"].weight.data *= 0.3

    def forward(self, x, history=None):
        r = self.residual
        y = r["2"](Kernels.norm_silu(x, r["0"].gamma), history)
        y = r["6"](Kernels.norm_silu(y, r["3"].gamma), history)
        return y + (x if self.shortcut is None else self.shortcut(x))


class AttentionBlock(nn.Module):
    """Single-head attention over the positions of each frame."""

    def __init__(self, channels):
        super().__init__()
        self.norm = Norm(channels, rank=3)
        self.to_qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.proj.weight)
        nn.init.zeros_(self.proj.bias)

    def forward(self, x, history=None):
        batch, channels, frames, height, width = x.shape
        y = x.permute(0, 2, 3, 4, 1).reshape(batch * frames, height * width, channels)
        squares = y.float().square().sum(-1, keepdim=True).clamp(min=1e-24)
        y = (y.float() * torch.rsqrt(squares) * channels ** 0.5 * self.norm.gamma.flatten().float()).to(x.dtype)
        q, k, v = F.linear(y, self.to_qkv.weight[:, :, 0, 0].to(x.dtype), self.to_qkv.bias.to(x.dtype)).chunk(3, -1)
        y = F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
        y = F.linear(y, self.proj.weight[:, :, 0, 0].to(x.dtype), self.proj.bias.to(x.dtype))
        return x + y.view(batch, frames, height, width, channels).permute(0, 4, 1, 2, 3)


class Downsample(nn.Module):
    """Half the height and width; with `temporal`, half the frames after the first as well."""

    def __init__(self, channels, temporal):
        super().__init__()
        self.resample = nn.ModuleDict({"1": nn.Conv2d(channels, channels, 3, stride=2)})
        if temporal:
            self.time_conv = nn.Conv3d(channels, channels, (3, 1, 1), stride=(2, 1, 1))
        self.temporal = temporal

    def forward(self, x, history=None):
        conv = self.resample["1"]
        y = F.pad(to_frames(x), (0, 1, 0, 1)).contiguous(memory_format=torch.channels_last)
        x = to_clip(F.conv2d(y, conv.weight.to(x.dtype), conv.bias.to(x.dtype), stride=2), x.shape[0])
        if self.temporal and x.shape[2] > 1:
            conv = self.time_conv
            later = F.conv3d(x, conv.weight.to(x.dtype), conv.bias.to(x.dtype), stride=(2, 1, 1))
            x = torch.cat([x[:, :, :1], later], 2)
        return x


class Upsample(nn.Module):
    """Twice the height and width, half the channels; with `temporal`, twice the frames after the first frame of the
    video."""

    def __init__(self, channels, temporal):
        super().__init__()
        self.resample = nn.ModuleDict({"1": nn.Conv2d(channels, channels // 2, 3, padding=1)})
        if temporal:
            self.time_conv = CausalConv3d(channels, 2 * channels, (3, 1, 1))
        self.temporal = temporal

    def forward(self, x, history=None):
        if self.temporal:
            x = self.double_frames(x, history)
        conv = self.resample["1"]
        y = F.interpolate(to_frames(x), scale_factor=2, mode="nearest")
        return to_clip(F.conv2d(y, conv.weight.to(x.dtype), conv.bias.to(x.dtype), padding=1), x.shape[0])

    def double_frames(self, x, history):
        """The video's first frame passes alone and never enters the history of `time_conv`."""
        first = history is None or self not in history
        if history is not None:
            history[self] = True
        later = x[:, :, 1:] if first else x
        if later.shape[2] == 0:
            return x
        batch, channels, frames, height, width = later.shape
        y = self.time_conv(later, history).unflatten(1, (2, channels))
        y = y.permute(0, 2, 3, 1, 4, 5).reshape(batch, channels, 2 * frames, height, width)
        return torch.cat([x[:, :, :1], y], 2) if first else y


def run(modules, x, history=None):
    for module in modules:
        x = module(x, history)
    return x


class Encoder(nn.Module):
    def __init__(self, widths, outputs):
        super().__init__()
        self.conv1 = CausalConv3d(3, widths[0])
        layers, channels = [], widths[0]
        for level, width in enumerate(widths):
            layers += [ResidualBlock(channels, width), ResidualBlock(width, width)]
            channels = width
            if level < 3:
                layers.append(Downsample(channels, temporal=level > 0))
        self.downsamples = nn.ModuleList(layers)
        self.middle = nn.ModuleList([ResidualBlock(channels, channels), AttentionBlock(channels),
                                     ResidualBlock(channels, channels)])
        self.head = nn.ModuleDict({"0": Norm(channels), "2": CausalConv3d(channels, outputs)})

    def forward(self, x):
        x = run([self.conv1, *self.downsamples, *self.middle], x)
        return self.head["2"](Kernels.norm_silu(x, self.head["0"].gamma))


class Decoder(nn.Module):
    def __init__(self, widths, inputs, outputs=3):
        super().__init__()
        channels = widths[3]
        self.conv1 = CausalConv3d(inputs, channels)
        self.middle = nn.ModuleList([ResidualBlock(channels, channels), AttentionBlock(channels),
                                     ResidualBlock(channels, channels)])
        layers = []
        for level in (3, 2, 1, 0):
            width = widths[level]
            layers += [ResidualBlock(channels, width), ResidualBlock(width, width), ResidualBlock(width, width)]
            if level > 0:
                layers.append(Upsample(width, temporal=level > 1))
                channels = width // 2
        self.upsamples = nn.ModuleList(layers)
        self.head = nn.ModuleDict({"0": Norm(widths[0]), "2": CausalConv3d(widths[0], outputs)})

    def forward(self, x, history=None):
        x = run([self.conv1, *self.middle, *self.upsamples], x, history)
        y = self.head["2"](Kernels.norm_silu(x, self.head["0"].gamma), history)
        return y if y.shape[1] == 3 else F.pixel_shuffle(y.transpose(1, 2), 2).transpose(1, 2)


class WanVAE(nn.Module):
    def __init__(self, encoder_widths=ENCODER_WIDTHS, decoder_widths=DECODER_WIDTHS, latent_channels=16,
                 head_outputs=HEAD_OUTPUTS):
        super().__init__()
        self.encoder = Encoder(encoder_widths, 2 * latent_channels)
        self.conv1 = CausalConv3d(2 * latent_channels, 2 * latent_channels, 1)
        self.conv2 = CausalConv3d(latent_channels, latent_channels, 1)
        self.decoder = Decoder(decoder_widths, latent_channels, head_outputs)
        self.constants = (torch.tensor(LATENT_MEAN).view(-1, 1, 1, 1), torch.tensor(LATENT_STD).view(-1, 1, 1, 1))

    def statistics(self, x):
        return (c.to(x.device, torch.float32) for c in self.constants)

    def posterior(self, frames):
        """Mean and log-variance of the raw latents, [B, 16, F, H, W] each."""
        return self.conv1(self.encoder(frames)).chunk(2, 1)

    def decode_raw(self, raw, history=None):
        return self.decoder(self.conv2(raw), history)

    def encode(self, frames):
        """Normalised latents, float32."""
        mean, std = self.statistics(frames)
        return (self.posterior(frames)[0].float() - mean) / std

    def decode(self, latents, history=None, dtype=None):
        """Frames around [-1, 1]. With a dict as `history`, the latents continue those of earlier calls with the same
        dict."""
        mean, std = self.statistics(latents)
        return self.decode_raw((latents.float() * std + mean).to(dtype or latents.dtype), history)

    def set_stacked(self, stacked):
        for module in self.modules():
            if isinstance(module, CausalConv3d) and module.past and module.kernel_size[1] > 1:
                module.stacked = stacked

    @torch.no_grad()
    def fold_statistics(self, mean, std):
        """Rewrites `conv1` and `conv2` so that raw latents of this mean and std per channel [16] become ones of the
        published mean and std; what is decoded stays the same. Needed once, before export."""
        published_mean, published_std = (c.flatten().to(mean) for c in self.constants)
        scale = published_std / std
        n = len(mean)
        self.conv1.weight[:n] *= scale.view(-1, 1, 1, 1, 1)
        self.conv1.bias[:n] = (self.conv1.bias[:n] - mean) * scale + published_mean
        self.conv1.bias[n:] += 2 * scale.log()
        weight = self.conv2.weight[:, :, 0, 0, 0]
        self.conv2.bias += weight @ (mean - published_mean / scale)
        self.conv2.weight /= scale.view(1, -1, 1, 1, 1)


def build_from_state_dict(state):
    """A WanVAE whose widths and head are read from the tensors of a checkpoint."""
    encoder = tuple(state[f"encoder.downsamples.{i}.residual.6.weight"].shape[0] for i in (0, 3, 6, 9))
    decoder = tuple(state[f"decoder.upsamples.{i}.residual.6.weight"].shape[0] for i in (12, 8, 4, 0))
    vae = WanVAE(encoder, decoder, head_outputs=len(state["decoder.head.2.bias"]))
    vae.load_state_dict({k: v.float() for k, v in state.items()})
    return vae


@torch.no_grad()
def adopt(vae, state):
    """Starts `vae` from a checkpoint of the same or smaller widths, or of the plain head: what exists there is copied,
    what is new is small and nothing reads it at first, so the frames stay almost the same. Returns the number of
    tensors that had another shape."""
    other = 0
    for name, p in vae.state_dict().items():
        if name not in state:  # a shortcut where there was none: what it carries on
            other += 1
            p.zero_()
            if p.ndim > 1:
                p.diagonal().fill_(1)
            continue
        old = state[name].to(p)
        if name.startswith("decoder.head.2") and len(old) == 3 and len(p) == 12:
            old = old.repeat_interleave(4, 0)  # every pixel of 2x2 as the one that they replace
        if old.shape == p.shape:
            p.copy_(old)
            continue
        other += 1
        parts = 3 if ".to_qkv." in name else 2 if "decoder" in name and ".time_conv." in name else 1  # side by side
        new, old = p.unflatten(0, (parts, -1)), old.unflatten(0, (parts, -1))
        if ".to_qkv." in name:
            old[0] *= (new.shape[1] / old.shape[1]) ** 0.5  # scores are divided by the root of the width
        if name.endswith("gamma"):
            old *= (old.shape[1] / new.shape[1]) ** 0.5  # norms multiply by it
        else:
            new *= 0.01
            if new.ndim > 2:
                new[:, :, old.shape[2]:] = 0
        new[tuple(slice(0, n) for n in old.shape)] = old
    return other
