"""What the model makes itself, as material for its training: videos as context, and first blocks on the way through the
sampler.

A first block's landscape is any of several places that the sentence leaves open. From noise the first step can only
draw their average, which no noised true video looks like; so a model trained on noised true videos alone meets in its
later steps what it has never seen, and what it has not settled stays blurred. `OwnFirsts` shows it those steps, each
with a true video that the sentence allows: the model chooses, the truth says how the chosen place looks. The same holds
for a colour, an actor or a landscape that a sentence leaves open.
"""
import torch

from common import DEVICE, DTYPE
from latents import SLOTS, VARIANTS, VideoPool
from rollout import SIGMAS, Rollout
from world import STARTS


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


@torch.no_grad()
def distinct(cost, places):
    """Which candidate each chain of a sentence is sent to, so that no two are sent to one place: cheapest pairs first.

    cost [sentences, chains, K]; places [K]: equal for candidates that count as one. Returns [sentences, chains].
    """
    sentences, chains, _ = cost.shape
    cost, chosen = cost.clone(), torch.zeros(sentences, chains, dtype=torch.long, device=cost.device)
    rows = torch.arange(sentences, device=cost.device)
    for _ in range(chains):
        pair = cost.flatten(1).argmin(1)
        chain, candidate = pair // cost.shape[2], pair % cost.shape[2]
        chosen[rows, chain] = candidate
        cost[rows, chain] = float("inf")
        cost.masked_fill_((places[candidate][:, None] == places)[:, None], float("inf"))
    return chosen


class OwnFirsts:
    """A store of first blocks at the sampler's steps after the first: x, sigma, and the true video (latents, mask, ids)
    to reach.

    From the second step on a chain is on its way to one of the videos that its sentence allows. At that step the chains
    of a sentence are sent to distinct places (and values of what the sentence leaves open), the cheapest pairs first,
    so that the noise decides and every place is taken; at the later steps each is sent to the video that it ends
    nearest to.
    """

    def __init__(self, sentences, chains):
        self.sentences, self.chains = sentences, chains  # so many sentences of each pool at a time, so many chains
        self.data, self.order = None, []
        self.error = self.places = float("nan")

    def left(self):
        return len(self.order)

    @torch.no_grad()
    def refill(self, model, *pools):
        """New chains by `model` for sentences of FirstPools. Sets, of the first pool, `error` (mean square from a
        chain's end to its video) and `places` (different places among the chains of a sentence)."""
        data = []
        for number, (pool, sentences) in enumerate(zip(pools, self.sentences)):
            steps, error, places = self.chains_of(model, pool, sentences)
            data += steps
            if number == 0:
                self.error, self.places = error, places
        self.data = {k: torch.cat([step[k] for step in data]) for k in data[0]}
        self.order = torch.randperm(len(self.data["x"]), device=DEVICE)

    def chains_of(self, model, pool, sentences):
        videos, masks = pool.data["latents"], pool.data["mask"]
        index = torch.randperm(pool.n, device=DEVICE)[:sentences].repeat_interleave(self.chains)
        variant = torch.randint(0, VARIANTS, (len(index) // self.chains,), device=DEVICE).repeat_interleave(self.chains)
        ids = pool.data["complete_ids"][index, variant]
        rollout = Rollout(model.transformer, model.text(ids, DTYPE), DTYPE)
        noise = torch.randn(len(index), *videos.shape[2:], device=DEVICE)
        on_the_way = list(rollout.steps(noise, torch.zeros_like(index)))
        end = on_the_way[-1][1]
        cost = torch.stack([(end - videos[index, k]).square().flatten(1).mean(1) for k in range(videos.shape[1])], 1)
        error, nearest = cost.min(1)
        candidates = torch.arange(videos.shape[1], device=DEVICE)
        places = candidates // (2 * STARTS) * STARTS + candidates % STARTS  # whatever the direction
        spread = distinct(cost.view(-1, self.chains, videos.shape[1]), places).flatten()
        steps = []
        for k, ((x, _), sigma) in enumerate(zip(on_the_way[1:], SIGMAS[1:])):
            reached = spread if k == 0 else nearest
            steps.append(dict(x=x, sigma=torch.full_like(error, sigma), latents=videos[index, reached],
                              mask=masks[index, reached], ids=ids))
        kinds = sum(len(p.unique()) for p in (places[nearest] % STARTS).view(-1, self.chains))
        return steps, float(error.mean()), kinds * self.chains / len(nearest)

    def take(self, count):
        chosen, self.order = self.order[:count], self.order[count:]
        return {k: v[chosen] for k, v in self.data.items()}
