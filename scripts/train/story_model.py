"""A block-diffusion language model: SDAR's architecture (Qwen3) with the published parameter names.

The training pass holds a clean and a noisy copy of each text: noisy blocks see themselves and the clean blocks before
them, as in decoding.
"""

import functools
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    vocab_size: int = 1536
    hidden_size: int = 192
    intermediate_size: int = 512
    num_hidden_layers: int = 6
    num_attention_heads: int = 6
    num_key_value_heads: int = 2
    head_dim: int = 32
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    block_size: int = 8
    mask_token_id: int = 1535

    def published(self, end):
        """The contents of config.json. end: id of the token that ends a text."""
        return dict(architectures=["SDARForCausalLM"], model_type="sdar", **asdict(self), hidden_act="silu",
                    attention_bias=False, attention_dropout=0.0, tie_word_embeddings=True, rope_scaling=None,
                    use_sliding_window=False, max_position_embeddings=1024, eos_token_id=end, torch_dtype="bfloat16")


class Norm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x):
        return F.rms_norm(x.float(), x.shape[-1:], self.weight, self.eps).to(x.dtype)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        heads, kv = c.num_attention_heads * c.head_dim, c.num_key_value_heads * c.head_dim
        self.q_proj = nn.Linear(c.hidden_size, heads, bias=False)
        self.k_proj = nn.Linear(c.hidden_size, kv, bias=False)
        self.v_proj = nn.Linear(c.hidden_size, kv, bias=False)
        self.o_proj = nn.Linear(heads, c.hidden_size, bias=False)
        self.q_norm, self.k_norm = Norm(c.head_dim, c.rms_norm_eps), Norm(c.head_dim, c.rms_norm_eps)

    def forward(self, x, rotation, mask):
        n, length, _ = x.shape
        split = lambda y: y.view(n, length, -1, self.c.head_dim)
        q = _rotated(self.q_norm(split(self.q_proj(x))), rotation).transpose(1, 2)
        k = _rotated(self.k_norm(split(self.k_proj(x))), rotation).transpose(1, 2)
        v = split(self.v_proj(x)).transpose(1, 2)
        group = self.c.num_attention_heads // self.c.num_key_value_heads
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.o_proj(out.transpose(1, 2).reshape(n, length, -1))


class Mlp(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gate_proj = nn.Linear(c.hidden_size, c.intermediate_size, bias=False)
        self.up_proj = nn.Linear(c.hidden_size, c.intermediate_size, bias=False)
        self.down_proj = nn.Linear(c.intermediate_size, c.hidden_size, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.input_layernorm, self.self_attn = Norm(c.hidden_size, c.rms_norm_eps), Attention(c)
        self.post_attention_layernorm, self.mlp = Norm(c.hidden_size, c.rms_norm_eps), Mlp(c)

    def forward(self, h, rotation, mask):
        h = h + self.self_attn(self.input_layernorm(h), rotation, mask)
        return h + self.mlp(self.post_attention_layernorm(h))


class Body(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embed_tokens = nn.Embedding(c.vocab_size, c.hidden_size)
        self.layers = nn.ModuleList(Layer(c) for _ in range(c.num_hidden_layers))
        self.norm = Norm(c.hidden_size, c.rms_norm_eps)


class StoryModel(nn.Module):
    """Head and embedding are one tensor."""

    def __init__(self, config):
        super().__init__()
        self.config, self.model = config, Body(config)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                small = name.endswith(("o_proj.weight", "down_proj.weight", "embed_tokens.weight"))
                nn.init.normal_(p, std=0.02 if small else p.shape[1] ** -0.5)

    def hidden(self, ids, positions, mask):
        h = self.model.embed_tokens(ids)
        if torch.is_autocast_enabled(ids.device.type):
            h = h.to(torch.get_autocast_dtype(ids.device.type))
        rotation = _rotation(self.config, positions)
        for layer in self.model.layers:
            h = layer(h, rotation, mask)
        return self.model.norm(h)

    def logits(self, hidden):
        return F.linear(hidden, self.model.embed_tokens.weight)

    def loss(self, ids, counted):
        """Mean over blocks of the mean cross entropy of their masked places.
        ids [n, L] int64; counted [n, L] bool: places to learn."""
        n, length = ids.shape
        block = self.config.block_size
        open_places = counted.view(n, -1, block)
        # Of each block's countable places a number from one to all is masked, all numbers being as likely.
        order = torch.where(open_places, torch.rand(open_places.shape, device=ids.device), 2.0).argsort(-1).argsort(-1)
        count = open_places.sum(-1, keepdim=True)
        wanted = (torch.rand(count.shape, device=ids.device) * count).floor() + 1
        masked = ((order < wanted) & open_places).view(n, length)
        noisy = torch.where(masked, self.config.mask_token_id, ids)
        # Blocks before the first countable place of all texts have no noisy copy.
        first = int(open_places.any(-1).any(0).int().argmax()) * block
        positions = torch.arange(length, device=ids.device)
        hidden = self.hidden(torch.cat([noisy[:, first:], ids], 1), torch.cat([positions[first:], positions]),
                             training_mask(length, block, ids.device)[first:, first:])
        masked = masked[:, first:]
        weight = (1 / masked.view(n, -1, block).sum(-1, keepdim=True).clamp(min=1)).expand(-1, -1, block)
        weight = weight.reshape(n, length - first)[masked]
        hidden = hidden[:, : length - first][masked]
        loss = F.cross_entropy(self.logits(hidden).float(), ids[:, first:][masked], reduction="none")
        return (loss * weight).sum() / weight.sum()


@functools.cache
def training_mask(length, block, device):
    """[2 L, 2 L] bool: noisy places, then clean ones."""
    place = torch.arange(2 * length, device=device)
    b, clean = place % length // block, place >= length
    q, k = b[:, None], b[None]
    own = (q == k) & (clean[:, None] == clean[None])
    return own | ((q > k) & clean[None])


def _rotation(config, positions):
    half = config.head_dim // 2
    frequency = config.rope_theta ** (-torch.arange(half, device=positions.device).float() / half)
    angle = positions.float()[:, None] * frequency
    return angle.cos()[:, None], angle.sin()[:, None]


def _rotated(x, rotation):
    """x [n, L, heads, D]; halves are turned. Source: Qwen3."""
    cos, sin = rotation
    a, b = x.float().chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1).to(x.dtype)
