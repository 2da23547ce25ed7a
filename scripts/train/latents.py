"""Pools of videos as latents with captions, redrawn a few at a time while the transformer trains.

A video is kept as 11 slots of one frame block: slot 0 is the video's first block (latent frames 0 to 2), slots 1 to 10
are ten blocks in a row from latent frame `begin`. Videos that begin at 3 are whole video starts. Latent frame f > 0
stands for frames 4f - 3 to 4f, so a block that begins at latent frame f begins at frame 4f - 3.
"""
import random

import torch
import torch.nn.functional as F

import world
from common import DEVICE, DTYPE
from videos import PAIRS, draw_parameters
from prompts import caption_ids

SLOTS, FRAMES = 11, 3
WARM_UP = 4  # latent frames encoded before those that are stored
LAST_BEGIN = 77  # in blocks: the last stored latent frame is 3 * 77 + 29 = 260
VARIANTS = 8


@torch.no_grad()
def encode(vae, params, first, count):
    """Draws `count` frames per video -> latents [n, F, 16, 18, 32] and the actors' mask [n, F, 18, 32]."""
    x = world.render_halved(params, first, count).transpose(1, 2) * 2 - 1
    z = vae.encode(x.to(DTYPE).contiguous(memory_format=torch.channels_last_3d)).transpose(1, 2)
    mask = F.max_pool2d(world.actor_mask(params, first, count).float(), 16)
    later = mask[:, 1:].unflatten(1, (-1, 4)).amax(2)
    return z, torch.cat([mask[:, :1], later], 1)


class Pool:
    """Fixed number of entries as tensors; `draw` gives new entries for consecutive places, round and round."""

    def __init__(self, n, chunk, vae, tokenizer, generator):
        self.n, self.chunk, self.vae, self.tokenizer, self.generator = n, chunk, vae, tokenizer, generator
        self.rng = random.Random(generator.initial_seed())
        self.data, self.next = None, 0
        while self.data is None or self.next:
            self.refresh()

    def refresh(self):
        count = min(self.chunk, self.n - self.next)
        new = self.draw(count)
        if self.data is None:
            self.data = {k: torch.empty(self.n, *v.shape[1:], dtype=v.dtype, device=DEVICE) for k, v in new.items()}
        for k, v in new.items():
            self.data[k][self.next:self.next + count] = v
        self.next = (self.next + count) % self.n

    def captions(self, params, **options):
        return caption_ids(params, self.tokenizer, self.rng, VARIANTS, **options).to(DEVICE)


class VideoPool(Pool):
    """latents, context [n, 11, 3, 16, 18, 32] (context: what the model sees as past; true or its own), mask [n, 11, 3,
    18, 32], begin [n], changed [n, 11] (which caption rules each slot), own [n], ids [n, 2, variants, L]."""

    def __init__(self, n, chunk, start, *args):
        self.start = start  # whole video starts, or videos from the middle
        super().__init__(n, chunk, *args)

    def draw(self, count):
        g = self.generator
        begin = torch.full((count,), 3) if self.start else 3 * torch.randint(2, LAST_BEGIN + 1, (count,), generator=g)
        # a change falls on the beginning of a block: among the slots, or up to 6 blocks before them
        slot = torch.randint(1 if self.start else -6, SLOTS, (count,), generator=g)
        frame = (begin + FRAMES * (slot - 1)).clamp(min=FRAMES)
        params = draw_parameters(count, g, 0.4, 4 * frame - 3)
        starts = self.slot_starts(begin)
        changed = (4 * starts - 3 >= params["change"][:, None])
        on_device = world.to(params, DEVICE)
        z, mask = self.encode_slots(on_device, begin.to(DEVICE))
        ids = torch.stack([self.captions(params), self.captions(params, second=True)], 1)
        return dict(latents=z, context=z, mask=mask, begin=begin.to(DEVICE), changed=changed.long().to(DEVICE),
                    own=torch.zeros(count, dtype=torch.bool, device=DEVICE), ids=ids)

    @staticmethod
    def slot_starts(begin):
        """First latent frame of every slot, [n, 11]."""
        later = begin[:, None] + FRAMES * torch.arange(SLOTS - 1, device=begin.device)
        return torch.cat([torch.zeros_like(later[:, :1]), later], 1)

    def encode_slots(self, params, begin):
        zero = torch.zeros_like(begin)
        if self.start:
            parts = [encode(self.vae, params, zero, 4 * FRAMES * SLOTS - 3)]
        else:
            later = encode(self.vae, params, 4 * (begin - WARM_UP), 1 + 4 * (WARM_UP + FRAMES * (SLOTS - 1) - 1))
            parts = [encode(self.vae, params, zero, 4 * FRAMES - 3), [t[:, WARM_UP:] for t in later]]
        z, mask = (torch.cat([p[i] for p in parts], 1).unflatten(1, (SLOTS, FRAMES)) for i in (0, 1))
        return z.to(DTYPE), mask.to(DTYPE)


class FirstPool(Pool):
    """First blocks alone, many with two actors, with captions that tell all: latents [n, 3, 16, 18, 32], mask [n, 3,
    18, 32], ids [n, variants, L]."""

    def draw(self, count):
        params = draw_parameters(count, self.generator, pairs=PAIRS)
        clips = world.to(params, DEVICE)
        z, mask = encode(self.vae, clips, torch.zeros_like(clips["start"]), 4 * FRAMES - 3)
        return dict(latents=z.to(DTYPE), mask=mask.to(DTYPE), ids=self.captions(params, complete=True))
