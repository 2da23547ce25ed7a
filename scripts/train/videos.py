"""Videos of the drawn world as tensors: parameters with prompt changes, frames, actor masks, what is seen in them."""
import atexit
import os
import shutil
import subprocess
import sys
import tempfile

import torch

import world
from common import DEVICE, RANK, shared

TASKS = {"scene": len(world.SCENES), "time": len(world.TIMES), "weather": len(world.WEATHER),
         "season": len(world.SEASONS), "actor": len(world.ACTORS), "color": len(world.COLORS),
         "actor2": len(world.ACTORS) + 1, "color2": len(world.COLORS), "direction": 2, "view": 4}
PAIRS = 0.5  # share of videos with two actors where it is learned what captions tell: they are the hardest
VIEWS = ["centre", "actor on the right", "actor on the left", "near"]  # where a movement of the camera has led


def start_painting():
    """Starts painting all of the world's tables in other processes; `paint_tables` waits for them. Of several trainers
    one paints, and WORLD_TABLES must name the folder."""
    if RANK > 0:
        return None
    if "WORLD_TABLES" not in os.environ:
        os.environ["WORLD_TABLES"] = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, os.environ["WORLD_TABLES"], True)
    script = f"import world; world.paint_to({os.environ['WORLD_TABLES']!r}, {max(1, min(16, os.cpu_count()))})"
    return subprocess.Popen([sys.executable, "-c", script], cwd=os.path.dirname(os.path.abspath(world.__file__)))


def paint_tables(painting):
    """Loads the tables; those that `painting` did not leave are painted. Without this each is painted on first use."""
    if painting:
        painting.wait()
    shared(0)
    world.paint_all(torch.zeros(1, device=DEVICE).device, max(1, min(16, os.cpu_count())))


def truth(params, frame):
    """What is to be seen in frame [n] of the videos, for each task [n]; -1: nothing."""
    changed = frame >= params["change"]
    seen = {t: params[t] for t in TASKS if t != "view"}
    for key in ("time", "weather"):
        seen[key] = torch.where(changed, params[key + "2"], params[key])
    seen["color2"] = torch.where(params["actor2"] == world.NOBODY, -1, params["color2"])
    camera, moved = params["camera"], 2 * frame >= world.MOVE_FRAMES
    near = ((camera == 3) & moved) | ((camera == 4) & ~moved)
    seen["view"] = torch.where(near, 3, torch.where((camera <= 2) & moved, camera, 0))
    return seen


def draw_parameters(n, generator, change_probability=0.0, change_at=None, pairs=None):
    """Parameters of n videos; a share of them changes time of day or weather from frame `change_at` [n]. pairs: share
    of them with two actors, where it is not to be the world's."""
    params = world.sample(n if pairs is None else 4 * n, generator)
    if pairs is not None:
        two = params["actor2"] != world.NOBODY
        index = torch.cat([two.nonzero().flatten()[:int(pairs * n)], (~two).nonzero().flatten()])[:n]
        params = {k: v[index] for k, v in params.items()}
    if change_probability > 0:
        params = world.add_changes(params, change_probability, generator, world.FIRST_BLOCK, world.FIRST_BLOCK + 1)
        params["change"] = torch.where(params["change"] < world.NEVER, change_at, world.NEVER)
    return params


def frames(params, first, count, mask=False):
    """Videos on the device -> [n, count, 3, 288, 512] uint8, or with the actors' mask as a fourth channel."""
    rgb = world.render(params, first, count)
    if mask:
        rgb = torch.cat([rgb, world.actor_mask(params, first, count).unsqueeze(2).to(rgb)], 2)
    return (rgb * 255 + 0.5).clamp(0, 255).byte()


def chunks(n, size):
    return [slice(i, min(n, i + size)) for i in range(0, n, size)]


class FramePool:
    """Clips of `length` frames, redrawn a few at a time; [n, length, 4, 288, 512] uint8 (colour and
    actors' mask)."""

    def __init__(self, n, length, generator, chunk):
        self.n, self.length, self.generator, self.chunk = n, length, generator, chunk
        self.clips = torch.empty(n, length, 4, world.ROWS, world.PIXELS, dtype=torch.uint8, device=DEVICE)
        self.next = 0
        for _ in chunks(n, chunk):
            self.refresh()

    @torch.no_grad()
    def refresh(self):
        """Redraws the oldest `chunk` clips."""
        count = min(self.chunk, self.n - self.next)
        first = torch.randint(0, 1000, (count,), generator=self.generator)
        first[torch.rand(count, generator=self.generator) < 0.15] = 0
        change = first + torch.randint(-16, self.length, (count,), generator=self.generator)
        params = world.to(draw_parameters(count, self.generator, 0.4, change), DEVICE)
        self.clips[self.next:self.next + count] = frames(params, first.to(DEVICE), self.length, mask=True)
        self.next = (self.next + count) % self.n

    def batch(self, clips, length, height, width):
        """A random crop of twice that height and width: frames [clips, 3, length, 2 height, 2 width] in [-1, 1], mask
        [clips, 1, ...] in [0, 1]."""
        index = torch.randint(0, self.n, (clips,), device=DEVICE)
        t = int(torch.randint(0, self.length - length + 1, (1,)))
        y = 16 * int(torch.randint(0, (world.ROWS // 2 - height) // 8 + 1, (1,)))
        x = 16 * int(torch.randint(0, (world.PIXELS // 2 - width) // 8 + 1, (1,)))
        crop = self.clips[index, t:t + length, :, y:y + 2 * height, x:x + 2 * width]
        batch = crop.transpose(1, 2).float() / 255
        return batch[:, :3] * 2 - 1, batch[:, 3:]
