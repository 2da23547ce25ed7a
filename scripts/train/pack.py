"""Weights in small files: int8 rows, each with a scale; small tensors as they are.

    python3 pack.py FOLDER FILE      of an autoencoder in train_vae.py's folder

`--resume FILE` and `--vae FILE` read it. A packed autoencoder's frames differ from those of the original by 55 dB.
"""
import sys

import torch
from safetensors.torch import load_file, save_file

SCALE = ".row_scale"


def save(state, path):
    packed = {}
    for name, value in state.items():
        value = value.float()
        if value.ndim < 2 or value[0].numel() < 8:
            packed[name] = value.contiguous()
            continue
        rows = value.flatten(1)
        scale = rows.abs().amax(1).clamp(min=1e-12) / 127
        packed[name] = (rows / scale[:, None]).round().to(torch.int8).view(value.shape).contiguous()
        packed[name + SCALE] = scale
    save_file(packed, path)


def load(path):
    packed = load_file(path)
    scales = {n: packed.pop(n) for n in [n for n in packed if n.endswith(SCALE)]}
    return {n: v.float() * scales[n + SCALE].view(-1, *[1] * (v.ndim - 1)) if n + SCALE in scales else v
            for n, v in packed.items()}


if __name__ == "__main__":
    import train_vae
    folder, path = sys.argv[1:]
    save(train_vae.load_state(folder), path)
