"""What the model makes itself, as material for its training: videos as context, and first blocks on the way through the
sampler.

A first block's landscape is any of several places that the sentence leaves open. From noise the first step can only
draw their average, which no noised true video looks like; so a model trained on noised true videos alone meets in its
later steps what it has never seen, and what it has not settled stays blurred. `OwnFirsts` shows it those steps, each
with the true video that its own chain ends nearest to: the model chooses, the truth says how the chosen place looks.
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
    to reach."""

    def __init__(self, sentences, chains):
        self.sentences, self.chains = sentences, chains  # so many sentences at a time, so many chains from each
        self.data, self.order = None, []
        self.error = self.places = float("nan")

    def left(self):
        return len(self.order)

    @torch.no_grad()
    def refill(self, model, pool):
        """New chains by `model` for sentences of a FirstPool. Sets `error` (mean square from a chain's end to its
        video) and `places` (different places among the chains of a sentence)."""
        videos, (n, _, places) = pool.data["latents"], pool.data["latents"].shape[:3]
        index = torch.randperm(n, device=DEVICE)[:self.sentences].repeat_interleave(self.chains)
        variant = torch.randint(0, VARIANTS, (len(index) // self.chains,), device=DEVICE).repeat_interleave(self.chains)
        ids = pool.data["complete_ids"][index, variant]
        rollout = Rollout(model.transformer, model.text(ids, DTYPE), DTYPE)
        noise = torch.randn(len(index), *videos.shape[3:], device=DEVICE)
        on_the_way = list(rollout.steps(noise, torch.zeros_like(index)))
        end = on_the_way[-1][1]
        errors = torch.stack([(end - video).square().flatten(1).mean(1)
                              for video in videos[index].flatten(1, 2).unbind(1)], 1)
        error, nearest = errors.min(1)
        direction, place = nearest // places, nearest % places
        self.error = float(error.mean())
        self.places = sum(len(p.unique()) for p in place.view(-1, self.chains)) * self.chains / len(place)
        reached = dict(latents=videos[index, direction, place], mask=pool.data["mask"][index, direction], ids=ids)
        steps = [dict(x=x, sigma=torch.full_like(error, sigma), **reached)
                 for (x, _), sigma in zip(on_the_way[1:], SIGMAS[1:])]
        self.data = {k: torch.cat([step[k] for step in steps]) for k in steps[0]}
        self.order = torch.randperm(len(self.data["x"]), device=DEVICE)

    def take(self, count):
        chosen, self.order = self.order[:count], self.order[count:]
        return {k: v[chosen] for k, v in self.data.items()}
