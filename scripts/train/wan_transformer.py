"""The causal Wan2.1 video transformer at a small size: a training pass over whole sequences of clean and noisy frame
blocks, and a cached pass that generates block by block. Both compute the same function.

Parameter names are those of the published checkpoint. Sources: Self-Forcing, wan/modules/causal_model.py and model.py.
A frame block is `frames_per_block` latent frames `[F, 16, H, W]`; N = F h w tokens with h = H / 2, w = W / 2.
"""
import os
from dataclasses import asdict, dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file

import gguf
from umt5 import Linear, RMSNorm


@dataclass
class Geometry:
    dim: int = 320
    num_heads: int = 5
    num_layers: int = 8
    ffn_dim: int = 960
    freq_dim: int = 256
    text_dim: int = 256
    text_len: int = 64
    in_dim: int = 16
    out_dim: int = 16
    patch_size: tuple = (1, 2, 2)
    eps: float = 1e-6
    frames_per_block: int = 3
    height: int = 9  # of the token grid
    width: int = 16

    @property
    def frame_tokens(self):
        return self.height * self.width

    @property
    def block_tokens(self):
        return self.frames_per_block * self.frame_tokens

    def config(self):
        """What a checkpoint's config.json holds."""
        keys = ("dim", "num_heads", "num_layers", "ffn_dim", "freq_dim", "text_dim", "text_len", "in_dim", "out_dim",
                "patch_size", "eps")
        return {"_class_name": "CausalWanModel", "model_type": "t2v",
                **{k: v for k, v in asdict(self).items() if k in keys}}


@dataclass
class Layout:
    """Which frame blocks a training pass holds, in this order:

    windows x 6 clean (the video's first block, then 5 in a row), windows x copies x 4 noisy (the 3rd to 6th in that
    row), starts x 2 clean (blocks 0, 1 of a video), starts x copies x 2 noisy (blocks 1, 2), firsts noisy (block 0).
    """
    windows: int
    copies: int
    starts: int
    firsts: int
    CLEAN, NOISY, START_CLEAN, START_NOISY = 6, 4, 2, 2

    def sizes(self):
        w, s = self.windows, self.starts
        return [w * self.CLEAN, w * self.copies * self.NOISY, s * self.START_CLEAN, s * self.copies * self.START_NOISY,
                self.firsts]


def layer_norm(x, eps=1e-6):
    f = x.float()
    f = f - f.mean(-1, keepdim=True)
    return f * torch.rsqrt(f.square().mean(-1, keepdim=True) + eps)


def rope_table(starts, geometry):
    """Cosines and sines [NB, N, d/2] for blocks whose first latent frames are `starts` [NB]."""
    g, pairs = geometry, geometry.dim // geometry.num_heads // 2
    side = pairs // 3
    counts = (pairs - 2 * side, side, side)
    inverse = [10000.0 ** (-torch.arange(n, device=starts.device).double() / n) for n in counts]
    frames = starts[:, None].double() + torch.arange(g.frames_per_block, device=starts.device)
    rows, columns = (torch.arange(n, device=starts.device).double() for n in (g.height, g.width))
    shape = (len(starts), g.frames_per_block, g.height, g.width)
    angle = torch.cat([
        (frames[..., None] * inverse[0])[:, :, None, None].expand(*shape, -1),
        (rows[:, None] * inverse[1])[None, None, :, None].expand(*shape, -1),
        (columns[:, None] * inverse[2])[None, None, None].expand(*shape, -1)], -1).flatten(1, 3)
    return angle.cos().float(), angle.sin().float()


def rotate(x, rope):
    """Rotates adjacent pairs of x [NB, N, heads, d]."""
    cos, sin = (t[:, :, None] for t in rope)
    even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2).to(x.dtype)


def attend(q, k, v):
    """[B, L, heads, d] queries over [B, S, heads, d] keys and values."""
    return F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)).transpose(1, 2)


def sequence_attention(q, k, v, layout):
    """Self-attention of a training pass; q, k, v [NB, N, heads, d] in the order of `Layout`.

    Every block sees itself, the video's first block, and the two clean blocks before it.
    """
    inner, w, s, c = q.shape[1:], layout.windows, layout.starts, layout.copies
    grid = [(w, 6), (w, c, 4), (s, 2), (s, c, 2), (layout.firsts,)]
    (q0, q1, q2, q3, q4), (k0, k1, k2, k3, k4), (v0, v1, v2, v3, v4) = (
        [part.view(*shape, *inner) for part, shape in zip(t.split(layout.sizes()), grid)] for t in (q, k, v))

    def past_window(t):  # [w, 4, 3 N, ...]: what the window's last four blocks see besides themselves
        return torch.cat([t[:, :1].expand(w, 4, *inner), t[:, 1:5], t[:, 2:6]], 2)

    def keys_alone(t0, t2, t4):
        return torch.cat([t0[:, 0], t2[:, 0], t4])

    def keys_one(t0, t2, t3):
        sink = t2[:, None, 0].expand(s, c, *inner).flatten(0, 1)
        return torch.cat([t0[:, 0:2].flatten(1, 2), t2.flatten(1, 2), torch.cat([sink, t3[:, :, 0].flatten(0, 1)], 1)])

    def keys_two(t0, t2, t3):
        past = t2.flatten(1, 2)[:, None].expand(s, c, -1, -1, -1).flatten(0, 1)
        return torch.cat([t0[:, 0:3].flatten(1, 2), torch.cat([past, t3[:, :, 1].flatten(0, 1)], 1)])

    def keys_three(t0, t1):
        past = past_window(t0)
        clean = torch.cat([past[:, :3], t0[:, 3:6]], 2).flatten(0, 1)
        noisy = torch.cat([past[:, None].expand(w, c, 4, -1, -1, -1), t1], 3).flatten(0, 2)
        return torch.cat([clean, noisy])

    a0 = attend(keys_alone(q0, q2, q4), keys_alone(k0, k2, k4), keys_alone(v0, v2, v4))
    a1 = attend(torch.cat([q0[:, 1], q2[:, 1], q3[:, :, 0].flatten(0, 1)]), keys_one(k0, k2, k3), keys_one(v0, v2, v3))
    a2 = attend(torch.cat([q0[:, 2], q3[:, :, 1].flatten(0, 1)]), keys_two(k0, k2, k3), keys_two(v0, v2, v3))
    a3 = attend(torch.cat([q0[:, 3:6].flatten(0, 1), q1.flatten(0, 2)]), keys_three(k0, k1), keys_three(v0, v1))

    window = torch.cat([a0[:w, None], a1[:w, None], a2[:w, None], a3[:3 * w].view(w, 3, *inner)], 1).flatten(0, 1)
    start = torch.stack([a0[w:w + s], a1[w:w + s]], 1).flatten(0, 1)
    start_noisy = torch.stack([a1[w + s:], a2[w:]], 1).flatten(0, 1)
    return torch.cat([window, a3[3 * w:], start, start_noisy, a0[w + s:]])


class SelfAttention(nn.Module):
    def __init__(self, g):
        super().__init__()
        self.heads = g.num_heads
        self.q, self.k, self.v, self.o = (Linear(g.dim, g.dim) for _ in range(4))
        self.norm_q, self.norm_k = RMSNorm(g.dim, g.eps), RMSNorm(g.dim, g.eps)

    def split(self, x):
        return x.unflatten(-1, (self.heads, -1))

    def project(self, x, rope):
        q, k = self.split(self.norm_q(self.q(x))), self.split(self.norm_k(self.k(x)))
        return rotate(q, rope), rotate(k, rope), self.split(self.v(x))


class CrossAttention(SelfAttention):
    def text(self, context):
        return self.split(self.norm_k(self.k(context))), self.split(self.v(context))

    def forward(self, x, text):
        return self.o(attend(self.split(self.norm_q(self.q(x))), *text).flatten(2))


class Block(nn.Module):
    def __init__(self, g):
        super().__init__()
        self.frames = g.frames_per_block
        self.modulation = nn.Parameter(torch.randn(1, 6, g.dim) / g.dim ** 0.5)
        self.self_attn, self.cross_attn = SelfAttention(g), CrossAttention(g)
        self.norm3 = nn.LayerNorm(g.dim, eps=g.eps)
        self.ffn = nn.ModuleDict({"0": Linear(g.dim, g.ffn_dim), "2": Linear(g.ffn_dim, g.dim)})

    def modulations(self, e0):
        """e0 [NB, F, 6, D] -> shift, scale, gate, shift, scale, gate, each [NB, F, 1, D]."""
        return (self.modulation.to(e0.dtype)[:, None] + e0).unsqueeze(3).unbind(2)

    def modulate(self, x, shift, scale):
        y = layer_norm(x).unflatten(1, (self.frames, -1))
        return (y * (1 + scale.float()) + shift.float()).to(x.dtype).flatten(1, 2)

    def gated(self, x, y, gate):
        return x + (y.unflatten(1, (self.frames, -1)) * gate).flatten(1, 2)

    def after_attention(self, x, attended, m, text):
        x = self.gated(x, self.self_attn.o(attended.flatten(2)), m[2])
        norm3 = layer_norm(x) * self.norm3.weight + self.norm3.bias
        x = x + self.cross_attn(norm3.to(x.dtype), text)
        y = F.gelu(self.ffn["0"](self.modulate(x, m[3], m[4])), approximate="tanh")
        return self.gated(x, self.ffn["2"](y), m[5])

    def forward(self, x, e0, rope, context, caption, layout):
        m = self.modulations(e0)
        q, k, v = self.self_attn.project(self.modulate(x, m[0], m[1]), rope)
        text = [t[caption] for t in self.cross_attn.text(context)]
        return self.after_attention(x, sequence_attention(q, k, v, layout), m, text)

    def cached(self, x, e0, rope, text, cache):
        """One block after those in `cache` (a list of (k, v)); returns the new x and this block's (k, v)."""
        m = self.modulations(e0)
        q, k, v = self.self_attn.project(self.modulate(x, m[0], m[1]), rope)
        keys, values = (torch.cat([*[entry[i] for entry in cache], new], 1) for i, new in ((0, k), (1, v)))
        return self.after_attention(x, attend(q, keys, values), m, text), (k, v)


class Head(nn.Module):
    def __init__(self, g):
        super().__init__()
        self.modulation = nn.Parameter(torch.randn(1, 2, g.dim) / g.dim ** 0.5)
        self.head = Linear(g.dim, g.out_dim * 4)
        nn.init.zeros_(self.head.weight)

    def forward(self, x, e):
        shift, scale = (self.modulation.to(e.dtype)[:, None] + e.unsqueeze(2)).unsqueeze(3).unbind(2)
        y = layer_norm(x).unflatten(1, (e.shape[1], -1)) * (1 + scale.float()) + shift.float()
        return self.head(y.to(x.dtype).flatten(1, 2))


class WanTransformer(nn.Module):
    def __init__(self, geometry=None):
        super().__init__()
        g = self.geometry = geometry or Geometry()
        self.patch_embedding = nn.Conv3d(g.in_dim, g.dim, g.patch_size, stride=g.patch_size)
        self.text_embedding = nn.ModuleDict({"0": Linear(g.text_dim, g.dim), "2": Linear(g.dim, g.dim)})
        self.time_embedding = nn.ModuleDict({"0": Linear(g.freq_dim, g.dim), "2": Linear(g.dim, g.dim)})
        self.time_projection = nn.ModuleDict({"1": Linear(g.dim, 6 * g.dim)})
        self.blocks = nn.ModuleList([Block(g) for _ in range(g.num_layers)])
        self.head = Head(g)
        self.run_blocks = [block.forward for block in self.blocks]
        self.initialise()

    def initialise(self):
        for module in self.modules():
            if isinstance(module, Linear) and module is not self.head.head:
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.xavier_uniform_(self.patch_embedding.weight.data.flatten(1))
        for module in (*self.text_embedding.values(), *self.time_embedding.values()):
            nn.init.normal_(module.weight, std=0.02)
        for block in self.blocks:
            for layer in (block.self_attn.o, block.cross_attn.o, block.ffn["2"]):
                layer.weight.data *= 0.5

    def compile_blocks(self):
        self.run_blocks = [torch.compile(block.forward, dynamic=False) for block in self.blocks]

    def embed_patches(self, x):
        """[NB, F, 16, H, W] -> tokens [NB, N, D]; a patch is gathered as (channel, dy, dx)."""
        y = x.unflatten(4, (-1, 2)).unflatten(3, (-1, 2)).permute(0, 1, 3, 5, 2, 4, 6)
        weight, bias = self.patch_embedding.weight.flatten(1), self.patch_embedding.bias
        return F.linear(y.flatten(4).flatten(1, 3), weight.to(x.dtype), bias.to(x.dtype))

    def scatter_patches(self, y):
        """[NB, N, 64] ordered (dy, dx, channel) -> [NB, F, 16, H, W]."""
        g = self.geometry
        y = y.view(len(y), g.frames_per_block, g.height, g.width, 2, 2, g.out_dim).permute(0, 1, 6, 2, 4, 3, 5)
        return y.flatten(5, 6).flatten(3, 4)

    def embed_time(self, t, dtype):
        """t [NB, F] -> e [NB, F, D], e0 [NB, F, 6, D]."""
        half = self.geometry.freq_dim // 2
        angle = t.double()[..., None] * 10000.0 ** (-torch.arange(half, device=t.device).double() / half)
        wave = torch.cat([angle.cos(), angle.sin()], -1).to(dtype)
        e = self.time_embedding["2"](F.silu(self.time_embedding["0"](wave)))
        return e, self.time_projection["1"](F.silu(e)).unflatten(-1, (6, -1))

    def embed_text(self, rows):
        return self.text_embedding["2"](F.gelu(self.text_embedding["0"](rows), approximate="tanh"))

    def forward(self, x, t, starts, rows, caption, layout):
        """The flow of every noisy block of a training pass.

        x [NB, F, 16, H, W] in the order of `layout`; t [NB] times, 0 for clean blocks; starts [NB] first latent frames;
        rows [U, L, text_dim] encoded captions, caption [NB] which of them each block follows.
        Returns a list: windows' noisy blocks, starts' noisy blocks, first blocks, float32.
        """
        rope = rope_table(starts, self.geometry)
        e, e0 = self.embed_time(t[:, None].expand(-1, x.shape[1]), x.dtype)
        context = self.embed_text(rows)
        h = self.embed_patches(x)
        for run_block in self.run_blocks:
            h = run_block(h, e0, rope, context, caption, layout)
        hs, es = h.split(layout.sizes()), e.split(layout.sizes())
        return [self.scatter_patches(self.head(hs[i], es[i])).float() for i in (1, 3, 4)]

    def text_keys(self, rows):
        context = self.embed_text(rows)
        return [block.cross_attn.text(context) for block in self.blocks]

    def cached(self, x, t, start, text, cache):
        """Flow of one block per video, x [B, F, 16, H, W] at time t beginning at latent frame `start` [B].
        `cache` holds, per layer, the (k, v) of the visible past; returns the flow and this block's own (k, v) per
        layer."""
        rope = rope_table(start, self.geometry)
        e, e0 = self.embed_time(torch.full(x.shape[:2], float(t), device=x.device), x.dtype)
        h, entries = self.embed_patches(x), []
        for block, keys, past in zip(self.blocks, text, cache):
            h, entry = block.cached(h, e0, rope, keys, past)
            entries.append(entry)
        return self.scatter_patches(self.head(h, e)).float(), entries


def load_state(folder):
    """Weights of a training run's two files, or of an exported one."""
    parts = [f"{folder}/transformer-{i}.safetensors" for i in (0, 1)]
    if os.path.exists(parts[0]):
        return {k: v.float() for part in parts for k, v in load_file(part).items()}
    if os.path.exists(f"{folder}/transformer.gguf"):
        return gguf.load(f"{folder}/transformer.gguf")
    return {k: v.float() for k, v in load_file(f"{folder}/transformer.safetensors").items()}


def geometry_from_checkpoint(config, height=9, width=16):
    keys = Geometry.__dataclass_fields__
    return Geometry(**{k: tuple(v) if isinstance(v, list) else v for k, v in config.items() if k in keys},
                    height=height, width=width)
