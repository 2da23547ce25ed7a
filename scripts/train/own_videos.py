"""What the model makes itself, as material for its training: videos as context, and first blocks on the way through the
sampler.

A model trained on noised true videos alone meets in the later steps of the sampler what it has never seen: what it has
made of noise itself, which is not yet quite the video that the caption tells. `OwnFirsts` shows it those steps.
"""
import torch

from common import DEVICE, DTYPE
from latents import SLOTS, VARIANTS, VideoPool
from rollout import SIGMAS, Rollout


@torch.no_grad()
def make_own_context(model, pool, count):
    """Replaces the context of `count` videos by what the model makes of them: the first three slots are partly noised
    (not so much that the place in the panorama is lost) and denoised again, the others generated after them."""
    data, index = pool.data, torch.randperm(pool.n, device=DEVICE)[:count]
    truth, starts = data["latents"][index].float(), VideoPool.slot_starts(data["begin"][index])
    ids = data["ids"][index, :, int(torch.randint(0, VARIANTS, (1,)))]
    rows = [model.text(ids[:, k], DTYPE) for k in (0, 1)]
    rollout = Rollout(model.transformer, rows[0], DTYPE)
    videos = torch.empty_like(truth)
    for slot in range(SLOTS):
        rollout.set_text(torch.where(data["changed"][index, slot].view(-1, 1, 1) > 0, rows[1], rows[0]))
        noise = torch.randn_like(truth[:, slot])
        step = int(torch.randint(2, 4, (1,))) if slot < 3 else 0
        x = (1 - SIGMAS[step]) * truth[:, slot] + SIGMAS[step] * noise
        videos[:, slot] = rollout.denoise(x, starts[:, slot], first_step=step)
        rollout.commit(videos[:, slot], starts[:, slot])
    data["context"][index] = videos.to(data["context"])
    data["own"][index] = True
    return float((videos[:, 3:] - truth[:, 3:]).square().mean())


class OwnFirsts:
    """A store of first blocks at the sampler's steps after the first: x, sigma, and the true video (latents, mask, ids)
    that the caption tells."""

    def __init__(self, chains):
        self.chains = chains  # captions at a time
        self.data, self.order = None, []
        self.error = float("nan")

    def left(self):
        return len(self.order)

    @torch.no_grad()
    def refill(self, model, pool):
        """New chains by `model` for captions of a FirstPool. Sets `error`: mean square from a chain's end to its
        video."""
        index = torch.randperm(pool.n, device=DEVICE)[:self.chains]
        variant = torch.randint(0, VARIANTS, (len(index),), device=DEVICE)
        truth = {k: pool.data[k][index] for k in ("latents", "mask")} | dict(ids=pool.data["ids"][index, variant])
        rollout = Rollout(model.transformer, model.text(truth["ids"], DTYPE), DTYPE)
        noise = torch.randn(truth["latents"].shape, device=DEVICE)
        on_the_way = list(rollout.steps(noise, torch.zeros_like(index)))
        self.error = float((on_the_way[-1][1] - truth["latents"]).square().mean())
        steps = [truth | dict(x=x, sigma=torch.full(index.shape, sigma, device=DEVICE))
                 for (x, _), sigma in zip(on_the_way[1:], SIGMAS[1:])]
        self.data = {k: torch.cat([step[k] for step in steps]) for k in steps[0]}
        self.order = torch.randperm(len(self.data["x"]), device=DEVICE)

    def take(self, count):
        chosen, self.order = self.order[:count], self.order[count:]
        return {k: v[chosen] for k, v in self.data.items()}
