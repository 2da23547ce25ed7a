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
from videos import chunks, draw_parameters
from prompts import caption_ids

SLOTS, FRAMES = 11, 3
WARM_UP = 4  # latent frames encoded before those that are stored
LAST_BEGIN = 77  # in blocks: the last stored latent frame is 3 * 77 + 29 = 260
VARIANTS = 8
ALTERNATIVES = 8  # values that a first block's caption leaves open


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
    """First blocks alone, each with all that its caption may mean: latents [n, K, 3, 16, 18, 32], mask [n, K, 3, 18,
    32], ids and complete_ids [n, variants, L].

    K = alternatives x 2 directions (the video's own and the other) x places in the panorama, in that order. With one
    alternative complete_ids are captions that leave out nothing but, now and then, the direction; with more they leave
    out one attribute besides, whose values are the alternatives, the video's own first.
    """

    def __init__(self, n, chunk, alternatives, *args):
        self.alternatives = alternatives
        super().__init__(n, chunk, *args)

    def draw(self, count):
        params = draw_parameters(count, self.generator)
        options, left_out = [params], None
        if self.alternatives > 1:
            two = bool((params["actor2"] != world.NOBODY).all())
            left_out = self.rng.choice(["color", "scene", "color2" if two else "actor", "color2" if two else "color"])
            options = alternatives(params, left_out, self.alternatives, self.generator)
        every = {k: torch.stack([o[k] for o in options], 1)[:, :, None, None].repeat(1, 1, 2, world.STARTS)
                 for k in params}
        every["direction"][:, :, 1] = 1 - every["direction"][:, :, 1]
        every["start"] = torch.arange(world.STARTS).expand_as(every["start"])
        every = world.to({k: v.flatten() for k, v in every.items()}, DEVICE)
        parts = [encode(self.vae, clips, torch.zeros_like(clips["start"]), 4 * FRAMES - 3)
                 for clips in (world.take(every, part) for part in chunks(len(every["start"]), 256))]
        z, mask = (torch.cat(t).unflatten(0, (count, -1)).to(DTYPE) for t in zip(*parts))
        complete = frozenset([left_out]) if left_out else True
        return dict(latents=z, mask=mask, ids=self.captions(params),
                    complete_ids=self.captions(params, complete=complete))


def alternatives(params, attribute, count, generator):
    """`count` variants of the clips that differ in one attribute, the clips' own first; some may occur twice."""
    options = [params]
    fits = torch.tensor([[actor in world.actors_of(scene) for actor in world.ACTORS] + [True]
                         for scene in world.SCENES])
    for i in range(1, count):
        value = params[attribute].clone()
        if attribute in ("color", "color2"):
            value = (value + i) % len(world.COLORS)
        elif attribute == "scene":
            value = (value + i) % len(world.SCENES)
            fitting = fits[value, params["actor"]] & fits[value, params["actor2"]]
            value = torch.where(fitting, value, params["scene"])
        else:  # the one actor of a video; of two none is left open
            other = torch.randint(0, len(world.ACTORS), value.shape, generator=generator)
            fitting = fits[params["scene"], other] & (params["actor2"] == world.NOBODY)
            value = torch.where(fitting, other, value)
        options.append(params | {attribute: value})
    return options
