"""The UMT5 text encoder at a small size. Parameter names are the published ones. Source: Wan2.1, wan/modules/t5.py."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

PAD, EOS = 0, 1


class Linear(nn.Linear):
    """A linear layer with float32 weights that computes in its input's dtype."""

    def forward(self, x):
        return F.linear(x, self.weight.to(x.dtype), None if self.bias is None else self.bias.to(x.dtype))


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) in float32, rounded, then times the weight."""

    def __init__(self, width, eps=1e-6):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x):
        f = x.float()
        return (f * torch.rsqrt(f.square().mean(-1, keepdim=True) + self.eps)).to(x.dtype) * self.weight.to(x.dtype)


def relative_bucket(length, device):
    """Bucket of (key - query), [L, L]: 16 for later keys, exact distances below 8, logarithmic ones up to 128 above."""
    offset = torch.arange(length, device=device)
    relative = offset[None] - offset[:, None]
    distance = relative.abs()
    far = 8 + (torch.log(distance.clamp(min=1).float() / 8) / math.log(16) * 8).long()
    return 16 * (relative > 0) + torch.where(distance < 8, distance, far.clamp(max=15))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (Linear(width, width, bias=False) for _ in range(4))
        nn.init.normal_(self.q.weight, std=(width * width / heads) ** -0.5)
        nn.init.normal_(self.k.weight, std=width ** -0.5)

    def forward(self, x, bias):
        q, k, v = (layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(x.dtype), scale=1.0)
        return self.o(y.transpose(1, 2).flatten(2))


class GatedFeedForward(nn.Module):
    def __init__(self, width, inner):
        super().__init__()
        self.gate = nn.ModuleDict({"0": Linear(width, inner, bias=False)})
        self.fc1 = Linear(width, inner, bias=False)
        self.fc2 = Linear(inner, width, bias=False)

    def forward(self, x):
        return self.fc2(self.fc1(x) * F.gelu(self.gate["0"](x), approximate="tanh"))


class PositionBias(nn.Module):
    def __init__(self, heads, buckets=32):
        super().__init__()
        self.embedding = nn.Embedding(buckets, heads)
        nn.init.zeros_(self.embedding.weight)


class Block(nn.Module):
    def __init__(self, width, heads, inner):
        super().__init__()
        self.norm1, self.norm2 = RMSNorm(width), RMSNorm(width)
        self.attn = Attention(width, heads)
        self.ffn = GatedFeedForward(width, inner)
        self.pos_embedding = PositionBias(heads)

    def forward(self, x, bucket, mask):
        bias = self.pos_embedding.embedding.weight[bucket].permute(2, 0, 1)[None].float()
        bias = bias.expand(x.shape[0], -1, -1, -1).masked_fill(~mask[:, None, None], -3e4)
        x = x + self.attn(self.norm1(x), bias)
        return x + self.ffn(self.norm2(x))


class UMT5Encoder(nn.Module):
    def __init__(self, vocabulary, width=256, heads=4, inner=448, layers=2):
        super().__init__()
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.blocks = nn.ModuleList([Block(width, heads, inner) for _ in range(layers)])
        self.norm = RMSNorm(width)

    def forward(self, ids, dtype=torch.float32, zero_padding=True):
        """ids [B, L] int64, padded with 0 -> [B, L, width]; rows of padding are zero."""
        mask = ids != PAD
        x = self.token_embedding(ids).to(dtype)
        bucket = relative_bucket(ids.shape[1], ids.device)
        for block in self.blocks:
            x = block(x, bucket, mask)
        x = self.norm(x)
        return x * mask[..., None].to(dtype) if zero_padding else x


def build_from_state_dict(state):
    """An encoder of the sizes that a checkpoint's tensors show."""
    vocabulary, width = state["token_embedding.weight"].shape
    layers = 1 + max(int(k.split(".")[1]) for k in state if k.startswith("blocks."))
    heads = state["blocks.0.pos_embedding.embedding.weight"].shape[1]
    encoder = UMT5Encoder(vocabulary, width, heads, state["blocks.0.ffn.fc1.weight"].shape[0], layers)
    encoder.load_state_dict({k: v.float() for k, v in state.items()})
    return encoder
