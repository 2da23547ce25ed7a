"""Videos of the drawn world as tensors: parameters with prompt changes, frames, actor masks."""
from concurrent.futures import ThreadPoolExecutor

import torch

import world
from common import DEVICE

TASKS = {"scene": len(world.SCENES), "time": len(world.TIMES), "weather": len(world.WEATHER),
         "actor": len(world.ACTORS), "color": len(world.COLORS), "direction": 2}


def paint_tables():
    """Paints all of the world's tables in parallel; otherwise each is painted on first use."""
    device, threads = torch.zeros(1, device=DEVICE).device, torch.get_num_threads()
    jobs = [(world._scene_tables, i) for i in range(len(world.SCENES))]
    jobs += [(world._actor_table, i) for i in range(len(world.ACTORS))]
    torch.set_num_threads(max(1, threads // 8))
    with ThreadPoolExecutor(max(1, min(16, threads))) as pool:
        running = [pool.submit(paint, i, device) for paint, i in jobs] + [pool.submit(world._sky_tables, device)]
        for job in running:
            job.result()
    torch.set_num_threads(threads)


def draw_parameters(n, generator, change_probability=0.0, change_at=None):
    """Parameters of n videos; a share of them changes time of day or weather from frame `change_at` [n]."""
    params = world.sample(n, generator)
    if change_probability > 0:
        params = world.add_changes(params, change_probability, generator, world.FIRST_BLOCK, world.FIRST_BLOCK + 1)
        params["change"] = torch.where(params["change"] < world.NEVER, change_at, world.NEVER)
    return params


def frames(params, first, count, mask=False):
    """Videos on the device -> [n, count, 3, 144, 256] uint8, or with the actor's mask as a fourth channel."""
    rgb = world.render(params, first, count)
    if mask:
        rgb = torch.cat([rgb, world.actor_mask(params, first, count).unsqueeze(2).to(rgb)], 2)
    return (rgb * 255 + 0.5).clamp(0, 255).byte()


def chunks(n, size):
    return [slice(i, min(n, i + size)) for i in range(0, n, size)]


class FramePool:
    """Clips of `length` frames, redrawn a few at a time; [n, length, 4, 144, 256] uint8 (colour and actor mask)."""

    def __init__(self, n, length, generator, chunk):
        self.n, self.length, self.generator, self.chunk = n, length, generator, chunk
        self.clips = torch.empty(n, length, 4, 144, 256, dtype=torch.uint8, device=DEVICE)
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
        """A random crop: frames [clips, 3, length, height, width] in [-1, 1], mask [clips, 1, ...] in [0, 1]."""
        index = torch.randint(0, self.n, (clips,), device=DEVICE)
        t = int(torch.randint(0, self.length - length + 1, (1,)))
        y = 8 * int(torch.randint(0, (144 - height) // 8 + 1, (1,)))
        x = 8 * int(torch.randint(0, (256 - width) // 8 + 1, (1,)))
        batch = self.clips[index, t:t + length, :, y:y + height, x:x + width].transpose(1, 2).float() / 255
        return batch[:, :3] * 2 - 1, batch[:, 3:]
