"""Tests of what the model under training makes itself: python -m unittest discover -s tests/train -p "*_test.py"."""

import sys
import unittest
from pathlib import Path
from types import SimpleNamespace

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "train"))

import train_transformer
from latents import SLOTS, VARIANTS
from own_videos import OwnFirsts
from rollout import SIGMAS
from wan_transformer import Layout

BLOCK = (3, 16, 4, 6)


def pool(n, **data):
    return SimpleNamespace(n=n, data=data)


def first_pool(n):
    """Blocks and masks that are all different; ids that tell the caption."""
    ids = torch.arange(n)[:, None, None].expand(n, VARIANTS, 5)
    return pool(n, latents=torch.randn(n, *BLOCK), mask=torch.rand(n, 3, *BLOCK[2:]), ids=ids)


def video_pool(n):
    return pool(n, latents=torch.randn(n, SLOTS, *BLOCK), context=torch.randn(n, SLOTS, *BLOCK),
                mask=torch.rand(n, SLOTS, 3, *BLOCK[2:]),
                begin=torch.full((n,), 3), changed=torch.zeros(n, SLOTS, dtype=torch.long),
                own=torch.zeros(n, dtype=torch.bool),
                ids=torch.zeros(n, 2, VARIANTS, 5, dtype=torch.long))


class Drawer:
    """Stands for a model: of every caption it draws the block of the pool, a little off."""

    def __init__(self, firsts, off):
        self.videos, self.off = firsts.data["latents"], off
        self.transformer = SimpleNamespace(blocks=[], text_keys=lambda rows: rows[:, 0, 0].long(), cached=self.cached)

    def text(self, ids, dtype):
        return ids[..., None].to(dtype)

    def cached(self, x, t, start, text, cache):
        return (x - self.videos[text] - self.off) / (t / 1000), []


class OwnFirstBlocks(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(0)
        self.firsts = first_pool(6)
        self.store = OwnFirsts(chains=4)
        self.store.refill(Drawer(self.firsts, off=0.1), self.firsts)

    def test_chains_reach_for_the_video_that_the_caption_tells(self):
        own = self.store.take(self.store.left())
        captions = own["ids"][:, 0]
        self.assertEqual(len(captions), 4 * (len(SIGMAS) - 1))
        self.assertEqual(len(captions.unique()), 4)
        for key in ("latents", "mask"):
            self.assertTrue(torch.equal(own[key], self.firsts.data[key][captions]))
        self.assertAlmostEqual(self.store.error, 0.01, places=5)

    def test_they_are_at_every_later_step_of_the_sampler(self):
        own = self.store.take(self.store.left())
        for sigma in SIGMAS[1:]:
            at = own["sigma"] == sigma
            self.assertEqual(int(at.sum()), 4)
            noise = (own["x"][at] - (1 - sigma) * (own["latents"][at] + 0.1)) / sigma
            self.assertAlmostEqual(float(noise.mean()), 0, delta=0.08)
            self.assertAlmostEqual(float(noise.std()), 1, delta=0.08)
        self.assertEqual(self.store.left(), 0)

    def test_a_training_pass_sees_them_as_they_are_and_asks_for_their_video(self):
        layout = Layout(windows=3, copies=1, starts=1, firsts=5)
        batch = train_transformer.Batch(layout, video_pool(4), video_pool(4), self.firsts, 0, self.store.take(2))
        own = batch.targets[2][-2:]
        sigma = batch.sigmas[2][-2:].view(-1, 1, 1, 1, 1)
        x = batch.x[-2:].float()
        self.assertEqual(batch.noised[2], 3)
        # the flow that is asked for leads from what the pass sees to the video
        self.assertLess(float((x - sigma * (batch.noises[2][-2:] - own) - own).abs().max()), 1e-5)
        self.assertTrue(torch.equal(batch.targets[2], self.firsts.data["latents"][batch.ids[-5:, 0]]))

    def test_while_the_model_learns_to_read_most_of_a_pass_is_first_blocks_of_noise(self):
        layout = Layout(windows=6, copies=2, starts=4, firsts=5)
        reading = train_transformer.reading_layout(layout)
        self.assertEqual((reading.windows, reading.copies, reading.starts), (2, 2, 2))
        self.assertEqual(sum(reading.sizes()), sum(layout.sizes()))
        batch = train_transformer.Batch(reading, video_pool(4), video_pool(4), self.firsts, 0, None, 1.0, (0, 0, 2))
        self.assertEqual(len(batch.x), sum(reading.sizes()))
        self.assertTrue((batch.sigmas[2] == SIGMAS[0]).all())
        self.assertLess(float((batch.noises[2] - batch.x[-reading.firsts:]).abs().max()), 1e-5)
        flows = [torch.ones_like(x, dtype=torch.float32) for x in batch.targets]

        class Model:
            text = staticmethod(lambda ids, dtype: None)
            transformer = staticmethod(lambda *_: flows)
        total, _ = batch.loss(Model)
        square = (1 - (batch.noises[2] - batch.targets[2])).square()
        wanted = 2 * (square * batch.weights[2]).mean() / batch.weights[2].mean()
        self.assertAlmostEqual(float(total), float(wanted), places=4)


if __name__ == "__main__":
    unittest.main()
