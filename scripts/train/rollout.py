"""Block-by-block generation with a KV cache: four denoising passes and one clean pass a block, as in Self-Forcing's
pipeline/causal_inference.py. The past a block sees: the video's first block (the sink) and the latest `past` blocks."""
import torch

STEPS = (1000, 750, 500, 250)
SHIFT = 5.0


def warped(step):
    s = step / 1000
    return SHIFT * s / (1 + (SHIFT - 1) * s)


SIGMAS = tuple(warped(step) for step in STEPS)


class Rollout:
    def __init__(self, transformer, rows, dtype=torch.float32, past=2, generator=None):
        self.model, self.dtype, self.past, self.generator = transformer, dtype, past, generator
        self.cache = [[] for _ in transformer.blocks]
        self.set_text(rows)

    def set_text(self, rows):
        self.text = self.model.text_keys(rows.to(self.dtype))

    def flow(self, x, sigma, start):
        return self.model.cached(x.to(self.dtype), 1000 * sigma, start, self.text, self.cache)

    @torch.no_grad()
    def commit(self, x0, start):
        """The clean pass: the block's keys and values at time 0 enter the cache; the oldest block but the sink leaves
        it."""
        for past, entry in zip(self.cache, self.flow(x0, 0.0, start)[1]):
            past.append(entry)
            if len(past) > self.past + 1:
                past.pop(1)

    def noise(self, like):
        return torch.randn(like.shape, device=like.device, generator=self.generator)

    @torch.no_grad()
    def steps(self, x, start, first_step=0, renoise=None):
        """Every step's x and x0, from x at the noise level of `first_step` [B, F, 16, H, W] on."""
        for j in range(first_step, len(SIGMAS)):
            x0 = x - SIGMAS[j] * self.flow(x, SIGMAS[j], start)[0]
            yield x, x0
            if j + 1 < len(SIGMAS):
                noise = self.noise(x) if renoise is None else renoise[j]
                x = (1 - SIGMAS[j + 1]) * x0 + SIGMAS[j + 1] * noise

    def denoise(self, *args, **options):
        """The last step's x0; arguments as for `steps`."""
        for _, x0 in self.steps(*args, **options):
            pass
        return x0
