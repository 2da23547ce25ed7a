"""What the trainers share: device, clock, log, images of results."""
import json
import os
import sys
import threading
import time

import numpy as np
import torch
from PIL import Image

START = time.time()
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
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


def synchronize():
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


class Log:
    def __init__(self, path):
        self.file = open(path, "a")

    def __call__(self, *words):
        line = f"[{elapsed():6.1f}] " + " ".join(f"{w:.4f}" if isinstance(w, float) else str(w) for w in words)
        print(line, flush=True)
        self.file.write(line + "\n")
        self.file.flush()


def set_up(seed, out):
    os.makedirs(out, exist_ok=True)
    torch.manual_seed(seed)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    log = Log(os.path.join(out, "log.txt"))
    name = torch.cuda.get_device_name() if DEVICE.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    log("command:", " ".join(sys.argv), "| torch", torch.__version__, "|", name)
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
