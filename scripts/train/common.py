"""What the trainers share: device, clock, log, images of results."""
import datetime
import json
import os
import sys
import threading
import time

import numpy as np
import torch
from PIL import Image

START = time.time()
RANK, RANKS = (int(os.environ.get(name, default)) for name, default in (("RANK", 0), ("WORLD_SIZE", 1)))  # torchrun's
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
if DEVICE.type == "cuda":
    torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
DTYPE = torch.bfloat16 if DEVICE.type == "cuda" else torch.float32


class Suspensions(threading.Thread):
    """Counts the seconds that the process was stopped (SIGSTOP), of `most` at most."""

    def __init__(self, most=150.0, tick=0.5):
        super().__init__(daemon=True)
        self.most, self.tick, self.seconds = most, tick, 0.0

    def run(self):
        last = time.time()
        while True:
            time.sleep(self.tick)
            now = time.time()
            if now - last > 4 + self.tick:
                self.seconds = min(self.most, self.seconds + now - last - self.tick)
            last = now


SUSPENSIONS = Suspensions()
SUSPENSIONS.start()


def elapsed():
    """Seconds since the start, without those that the process was stopped."""
    return time.time() - START - SUSPENSIONS.seconds


def broadcast(tensors):
    """Gives the first process's tensors to all processes."""
    if RANKS > 1:
        for t in tensors:
            torch.distributed.broadcast(t, 0)


def shared(value):
    """The first process's number, for all processes."""
    if RANKS == 1:
        return value
    value = torch.tensor(value, dtype=torch.float64, device=DEVICE)
    broadcast([value])
    return value.item()


def mean_over_processes(tensors):
    """Replaces tensors by their means over all processes."""
    if RANKS > 1:
        flat = torch.cat([t.flatten() for t in tensors])
        torch.distributed.all_reduce(flat)
        for t, mean in zip(tensors, (flat / RANKS).split([t.numel() for t in tensors])):
            t.copy_(mean.view(t.shape))


def synchronize():
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


class Log:
    def __init__(self, path):
        self.file = open(path, "a")

    def __call__(self, *words):
        line = f"[{elapsed():6.1f}] " + " ".join(f"{w:.4f}" if isinstance(w, float) else str(w) for w in words)
        if RANK == 0:
            print(line, flush=True)
        self.file.write(line + "\n")
        self.file.flush()


def set_up(seed, out):
    """Of every process; those after the first write a log of their own."""
    os.makedirs(out, exist_ok=True)
    torch.manual_seed(seed + 1000 * RANK)
    if RANKS > 1:
        torch.distributed.init_process_group("nccl" if DEVICE.type == "cuda" else "gloo",
                                             timeout=datetime.timedelta(seconds=200))
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    log = Log(os.path.join(out, f"log-{RANK}.txt" if RANK else "log.txt"))
    name = torch.cuda.get_device_name() if DEVICE.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    log("command:", " ".join(sys.argv), "| torch", torch.__version__, "|", name, "|", RANKS, "processes")
    return log


def rounded(values, digits=3):
    if isinstance(values, dict):
        return json.dumps({k: rounded(v, digits) for k, v in values.items()})
    values = values.tolist() if isinstance(values, torch.Tensor) else values
    return [round(v, digits) for v in values] if isinstance(values, list) else round(float(values), digits)


def save_image(path, image):
    """image [3, H, W] in [0, 1]."""
    array = (image.float().clamp(0, 1) * 255 + 0.5).byte().permute(1, 2, 0).cpu().numpy()
    Image.fromarray(np.ascontiguousarray(array)).save(path, quality=88)


def grid(rows):
    """Rows of images [3, H, W] -> one image."""
    return torch.cat([torch.cat(list(row), 2) for row in rows], 1)
