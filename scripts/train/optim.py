"""Optimisation shared by the trainers: Muon for matrices, AdamW for the rest, a moving average, and a guard that goes
back to the last good state when a step is not finite. Gradients are the means over all processes. Muon: Jordan et al.
2024, with the update scale of Liu et al. 2025 (arXiv 2502.16982), 0.2 sqrt(max side), so that both optimisers take
comparable steps."""
import torch

from common import broadcast, mean_over_processes

# The text encoder's parameters by AdamW, as parts of their names: (rate relative to the others', weight decay). A step
# moves a number by about the rate. Biases by distance (UMT5) must reach 3 or more before a word tells which word stands
# beside it. Scores are not divided by a root, so queries begin eight times smaller than other weights; at the same rate
# they and what they meet grew without end, until each word attended to one other, whichever it was, and learned nothing
# more (scores of spread 50 and 676).
TEXT_RATES = {"pos_embedding": (30.0, 0.0), ".attn.q.": (0.125, 0.1), ".attn.": (1.0, 0.1), ".ffn.fc": (1.0, 0.1),
              ".ffn.gate": (1.0, 0.1)}


class Muon:
    """Momentum whose update is made orthogonal by five Newton-Schulz steps, one batch of matrices per shape."""

    def __init__(self, parameters, rate, weight_decay, momentum=0.95):
        self.rate, self.weight_decay, self.momentum = rate, weight_decay, momentum
        self.groups = {}
        for p in parameters:
            self.groups.setdefault((p.shape[0], p[0].numel()), []).append(p)
        self.buffers = {shape: torch.zeros(len(ps), *shape, device=ps[0].device) for shape, ps in self.groups.items()}

    @torch.no_grad()
    def step(self, factor):
        rate = self.rate * factor
        for shape, parameters in self.groups.items():
            gradient = torch.stack([p.grad.reshape(shape).float() for p in parameters])
            buffer = self.buffers[shape].lerp_(gradient, 1 - self.momentum)
            update = self.orthogonal(gradient.lerp(buffer, self.momentum)).float()
            update *= -0.2 * max(shape) ** 0.5 * rate
            torch._foreach_mul_(parameters, 1 - rate * self.weight_decay)
            torch._foreach_add_(parameters, [u.reshape(p.shape) for u, p in zip(update.unbind(0), parameters)])

    @staticmethod
    def orthogonal(x):
        x = x.bfloat16() if x.is_cuda else x
        tall = x.shape[1] > x.shape[2]
        x = x.transpose(1, 2) if tall else x
        x = x / (x.float().norm(dim=(1, 2), keepdim=True) + 1e-7).to(x.dtype)
        for _ in range(5):
            y = x @ x.transpose(1, 2)
            x = torch.baddbmm(x, torch.baddbmm(y, y, y, beta=-4.7750, alpha=2.0315), x, beta=3.4445)
        return x.transpose(1, 2) if tall else x


class Trainer:
    """Steps `parameters` (name -> tensor), those named in `matrices` by Muon; keeps the average of all in `average`."""

    def __init__(self, parameters, matrices, muon_rate, adam_rate, weight_decay, clip, average_span):
        self.parameters = dict(parameters)
        self.muon = Muon([self.parameters[n] for n in matrices], muon_rate, weight_decay)
        groups = {}
        for n, p in self.parameters.items():
            if n not in set(matrices):
                groups.setdefault(next((v for k, v in TEXT_RATES.items() if k in n), (1.0, 0.0)), []).append(p)
        self.adam = torch.optim.AdamW(
            [dict(params=ps, relative=relative, weight_decay=decay) for (relative, decay), ps in groups.items()],
            lr=adam_rate, betas=(0.9, 0.98), fused=next(iter(self.parameters.values())).is_cuda)
        self.adam_rate, self.clip, self.average_span = adam_rate, clip, average_span
        self.average = {n: p.detach().clone() for n, p in self.parameters.items()}
        self.steps = self.restored = 0
        self.good = None

    def state(self):
        return [*(p.data for p in self.parameters.values()), *self.muon.buffers.values(), *self.average.values()]

    def keep_good_state(self):
        self.good = [t.clone() for t in self.state()]

    def restore(self):
        self.restored += 1
        for target, source in zip(self.state(), self.good):
            target.copy_(source)
        self.adam.state.clear()

    def step(self, loss, factor):
        """One step down `loss`, rates scaled by `factor`. Returns the gradient's norm; not finite if the step was
        refused."""
        if self.good is None:
            self.keep_good_state()
        loss.backward()
        parameters = list(self.parameters.values())
        mean_over_processes([p.grad for p in parameters])
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, self.clip))
        if norm == norm and norm < float("inf"):
            for group in self.adam.param_groups:
                group["lr"] = self.adam_rate * factor * group["relative"]
            self.adam.step()
            self.muon.step(factor)
            self.steps += 1
            keep = min(1 - 1 / self.average_span, (self.steps + 1) / (self.steps + 10))
            torch._foreach_lerp_(list(self.average.values()), [p.data for p in parameters], 1 - keep)
            if self.steps % 50 == 0:
                broadcast(self.state())  # the same on all processes; rounding must not lead them apart
                self.keep_good_state()
        else:
            self.restore()
        for p in parameters:
            p.grad = None
        return norm


def rate_factor(steps, progress, hold, warm=50, floor=0.01):
    """Warm-up over steps, constant until `hold` of the time, then linear to `floor`."""
    decay = 1.0 if progress < hold else max(floor, (1 - progress) / (1 - hold))
    return min(1.0, (steps + 1) / warm) * decay
