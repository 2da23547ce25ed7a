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
from own_videos import OwnFirsts, distinct
from rollout import SIGMAS
from wan_transformer import Layout

BLOCK = (3, 16, 4, 6)
PLACES = 8


def pool(n, **data):
    return SimpleNamespace(n=n, data=data)


def first_pool(n):
    """Blocks and masks that are all different, of two directions and eight places; ids that tell the caption."""
    ids = torch.arange(n)[:, None, None].expand(n, VARIANTS, 5)
    return pool(n, latents=torch.randn(n, 2 * PLACES, *BLOCK), mask=torch.rand(n, 2 * PLACES, 3, *BLOCK[2:]), ids=ids,
                complete_ids=ids)


def video_pool(n):
    return pool(n, latents=torch.randn(n, SLOTS, *BLOCK), context=torch.randn(n, SLOTS, *BLOCK),
                mask=torch.rand(n, SLOTS, 3, *BLOCK[2:]),
                begin=torch.full((n,), 3), changed=torch.zeros(n, SLOTS, dtype=torch.long),
                own=torch.zeros(n, dtype=torch.bool),
                ids=torch.zeros(n, 2, VARIANTS, 5, dtype=torch.long))


class Drawer:
    """Stands for a model: of every caption it draws the block `direction`, `place` of the pool, a little off."""

    def __init__(self, firsts, direction, place, off):
        self.videos, self.off = firsts.data["latents"][:, direction * PLACES + place], off
        self.transformer = SimpleNamespace(blocks=[], text_keys=lambda rows: rows[:, 0, 0].long(), cached=self.cached)

    def text(self, ids, dtype):
        return ids[..., None].to(dtype)

    def cached(self, x, t, start, text, cache):
        return (x - self.videos[text] - self.off) / (t / 1000), []


class Distinct(unittest.TestCase):
    def test_the_cheapest_pair_comes_first_and_no_place_twice(self):
        cost = torch.tensor([[[3.0, 1.0, 4.0, 9.0], [2.0, 0.5, 5.0, 9.0]], [[1.0, 2.0, 0.9, 8.0], [5.0, 6.0, 1.0,
                                                                                                   7.0]]])
        chosen = distinct(cost, torch.tensor([0, 1, 0, 1]))  # candidates 0 and 2 show one place
        self.assertEqual(chosen.tolist(), [[0, 1], [2, 1]])

    def test_more_chains_than_places(self):
        self.assertEqual(distinct(torch.rand(2, 3, 2), torch.tensor([0, 1])).shape, (2, 3))


class OwnFirstBlocks(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(0)
        self.firsts = first_pool(6)
        self.store = OwnFirsts(sentences=(4,), chains=3)
        self.store.refill(Drawer(self.firsts, direction=1, place=5, off=0.1), self.firsts)

    def test_chains_reach_for_the_video_that_they_end_nearest_to(self):
        own = self.store.take(self.store.left())
        captions = own["ids"][:, 0]
        self.assertEqual(len(captions), 4 * 3 * (len(SIGMAS) - 1))
        self.assertEqual(len(captions.unique()), 4)
        later = own["sigma"] < SIGMAS[1]
        for key in ("latents", "mask"):
            self.assertTrue(torch.equal(own[key][later], self.firsts.data[key][captions[later], PLACES + 5]))
        self.assertAlmostEqual(self.store.error, 0.01, places=5)
        self.assertEqual(self.store.places, 1.0)

    def test_at_the_second_step_they_are_sent_to_distinct_places(self):
        own = self.store.take(self.store.left())
        second = own["sigma"] == SIGMAS[1]
        reached = {}
        for video, caption in zip(own["latents"][second], own["ids"][second, 0].tolist()):
            error = (self.firsts.data["latents"][caption] - video).square().flatten(1).sum(1)
            self.assertEqual(float(error.min()), 0)
            reached.setdefault(caption, []).append(int(error.argmin()) % PLACES)
        self.assertTrue(all(len(set(places)) == 3 and 5 in places for places in reached.values()), reached)

    def test_they_are_at_every_later_step_of_the_sampler(self):
        own = self.store.take(self.store.left())
        for sigma in SIGMAS[1:]:
            at = own["sigma"] == sigma
            self.assertEqual(int(at.sum()), 12)
            noise = (own["x"][at] - (1 - sigma) * (own["latents"][at] + 0.1)) / sigma
            self.assertAlmostEqual(float(noise.mean()), 0, delta=0.05)
            self.assertAlmostEqual(float(noise.std()), 1, delta=0.05)
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
        captions = batch.ids[-2:, 0]
        videos = self.firsts.data["latents"][captions]
        self.assertEqual(float((videos - own[:, None]).square().flatten(2).sum(2).amin(1).max()), 0)
        true = batch.targets[2][:3]
        self.assertTrue(torch.equal(true, self.nearest(true, batch.ids[-5:-2, 0])))

    def nearest(self, blocks, captions):
        """Those of the captions' own direction."""
        videos = self.firsts.data["latents"][captions, :PLACES]
        error = (videos - blocks[:, None]).square().mean((2, 3, 4, 5))
        self.assertLess(float(error.amin(1).max()), 1e-12)
        return videos[torch.arange(len(blocks)), error.argmin(1)]


if __name__ == "__main__":
    unittest.main()
