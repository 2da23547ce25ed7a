#!/usr/bin/env python3
"""Times LibTorch's attention kernels against each other, shape by shape, on this GPU: what attention/attention.cpp
chooses by. usage: attention_kernels.py [FILE.json]. Needs the Python package torch and a GPU. Medians of 20 runs in
turn."""

import json
import statistics
import sys

import torch

# (queries, keys, heads, head width): blocks of 3 latent frames at 832x480 (1560 tokens a frame) inside, outside with
# windows of 12, 15 and 21, over all keys, and over text; 14B; the demo model at 256x144 (144 tokens a frame).
SHAPES = [
    (4680, 4680, 12, 128), (4680, 14040, 12, 128), (4680, 18720, 12, 128), (4680, 28080, 12, 128),
    (4680, 32760, 12, 128), (4680, 512, 12, 128), (4680, 4680, 40, 128), (4680, 28080, 40, 128),
    (432, 432, 5, 64), (432, 1296, 5, 64), (432, 1728, 5, 64), (432, 64, 5, 64),
]
ROUNDS = 20


def kernels(dtype):
    aten = torch.ops.aten
    if dtype == torch.bfloat16:
        yield "cudnn", lambda q, k, v: aten._scaled_dot_product_cudnn_attention(q, k, v, None, True)
        yield "flash", lambda q, k, v: aten._scaled_dot_product_flash_attention(q, k, v)
    yield "memory-efficient", lambda q, k, v: aten._scaled_dot_product_efficient_attention(q, k, v, None, True)


def milliseconds(kernel, q, k, v):
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    kernel(q, k, v)
    end.record()
    end.synchronize()
    return begin.elapsed_time(end)


def measure(shape, dtype):
    queries, keys, heads, width = shape
    make = lambda tokens: torch.randn(1, tokens, heads, width, device="cuda", dtype=dtype).transpose(1, 2)
    q, k, v = make(queries), make(keys), make(keys)
    times = {}
    for round_number in range(-3, ROUNDS):
        for name, kernel in kernels(dtype):
            taken = milliseconds(kernel, q, k, v)
            if round_number >= 0:
                times.setdefault(name, []).append(taken)
    return {name: statistics.median(taken) for name, taken in times.items()}


def main():
    rows = []
    for dtype in (torch.bfloat16, torch.float32):
        for shape in SHAPES:
            if dtype == torch.float32 and shape[2] == 40:
                continue
            found = measure(shape, dtype)
            rows.append({"dtype": str(dtype).removeprefix("torch."), "shape": shape, "milliseconds": found})
            print(rows[-1]["dtype"], shape, {name: round(taken, 4) for name, taken in found.items()}, flush=True)
    report = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__,
              "cudnn": torch.backends.cudnn.version(), "rows": rows}
    if len(sys.argv) > 1:
        with open(sys.argv[1], "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)


if __name__ == "__main__":
    with torch.inference_mode():
        main()
