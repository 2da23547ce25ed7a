"""The autoencoder's norm and SiLU as one GPU kernel each way, over rows of channels (channels-last clips).

y = z sigmoid(z), z = n gamma, n = sqrt(C) x / |x|. `check` holds it against `wan_vae.rms_norm_silu`.
"""
import torch
import triton
import triton.language as tl

from wan_vae import rms_norm_silu

FLOOR = tl.constexpr(1e-12)  # of |x|^2
PROGRAMS = 1056  # 8 per multiprocessor of an H100 or H200


@triton.jit
def row_tile(x, gamma, tile, rows, C: tl.constexpr, CP: tl.constexpr, R: tl.constexpr):
    r = tile * R + tl.arange(0, R)
    c = tl.arange(0, CP)
    mask = (r[:, None] < rows) & (c[None, :] < C)
    offsets = r.to(tl.int64)[:, None] * C + c[None, :]
    value = tl.load(x + offsets, mask=mask, other=0.0).to(tl.float32)
    inverse = tl.rsqrt(tl.maximum(tl.sum(value * value, 1), FLOOR))
    unit = value * inverse[:, None]
    scale = tl.load(gamma + c, mask=c < C, other=0.0)
    return offsets, mask, inverse, unit, scale


@triton.jit
def forward_kernel(x, gamma, y, rows, root, C: tl.constexpr, CP: tl.constexpr, R: tl.constexpr):
    offsets, mask, inverse, unit, scale = row_tile(x, gamma, tl.program_id(0), rows, C, CP, R)
    z = unit * root * scale[None, :]
    tl.store(y + offsets, z * tl.sigmoid(z), mask=mask)


@triton.jit
def backward_kernel(x, gamma, dy, dx, dgamma, rows, root, programs, tiles, C: tl.constexpr, CP: tl.constexpr,
                    R: tl.constexpr):
    total = tl.zeros([CP], tl.float32)
    tile = tl.program_id(0)
    while tile < tiles:
        offsets, mask, inverse, unit, scale = row_tile(x, gamma, tile, rows, C, CP, R)
        z = unit * root * scale[None, :]
        s = tl.sigmoid(z)
        dz = tl.load(dy + offsets, mask=mask, other=0.0).to(tl.float32) * s * (1 + z * (1 - s))
        total += tl.sum(dz * unit, 0) * root
        du = dz * scale[None, :] * root
        value = (du - unit * tl.sum(du * unit, 1)[:, None]) * inverse[:, None]
        tl.store(dx + offsets, value, mask=mask)
        tile += programs
    tl.store(dgamma + tl.program_id(0) * CP + tl.arange(0, CP), total)


def tile_of(channels):
    padded = triton.next_power_of_2(channels)
    return padded, max(1, 4096 // padded)


class NormSilu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, gamma):
        """x [rows, C] contiguous, gamma [C] float32."""
        y, (rows, channels) = torch.empty_like(x), x.shape
        padded, r = tile_of(channels)
        forward_kernel[(triton.cdiv(rows, r),)](x, gamma, y, rows, channels ** 0.5, channels, padded, r)
        ctx.save_for_backward(x, gamma)
        return y

    @staticmethod
    def backward(ctx, dy):
        x, gamma = ctx.saved_tensors
        rows, channels = x.shape
        padded, r = tile_of(channels)
        tiles = triton.cdiv(rows, r)
        programs = min(tiles, PROGRAMS)
        dx = torch.empty_like(x)
        dgamma = torch.empty(programs, padded, dtype=torch.float32, device=x.device)
        backward_kernel[(programs,)](x, gamma, dy.contiguous(), dx, dgamma, rows, channels ** 0.5, programs, tiles,
                                     channels, padded, r)
        return dx, dgamma[:, :channels].sum(0)


def norm_silu(x, gamma):
    """x [B, C, T, H, W] on a GPU, gamma [C, 1, 1, 1]."""
    rows = x.permute(0, 2, 3, 4, 1)
    y = NormSilu.apply(rows.reshape(-1, x.shape[1]), gamma.flatten().float())
    return y.view(rows.shape).permute(0, 4, 1, 2, 3)


def check():
    """Worst relative error of result and gradients against the plain formula, on the GPU if there is one."""
    device, worst = ("cuda" if torch.cuda.is_available() else "cpu"), 0.0
    for channels, shape in ((16, (2, 3, 7, 9)), (48, (1, 5, 4, 6)), (96, (2, 2, 12, 5))):
        x = torch.randn(shape[0], channels, *shape[1:], device=device).contiguous(memory_format=torch.channels_last_3d)
        gamma, direction = torch.rand(channels, 1, 1, 1, device=device) + 0.5, torch.randn_like(x)
        results = []
        for function in (norm_silu, rms_norm_silu):
            inputs = [t.clone().requires_grad_(True) for t in (x, gamma)]
            y = function(*inputs)
            results.append([y, *torch.autograd.grad(y, inputs, direction)])
        worst = max([worst] + [float((a - b).norm() / b.norm()) for a, b in zip(*results)])
    assert worst < 1e-5, worst
    return worst


if __name__ == "__main__":  # on a machine without a GPU: TRITON_INTERPRET=1 python3 fused_norm.py
    print("fused norm and SiLU against the formula, worst relative error:", check())
