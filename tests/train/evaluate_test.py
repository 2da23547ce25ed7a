"""Tests of what the held-out sentences ask for and how it is read: python -m unittest discover -s tests/train -p
"*_test.py"."""

import sys
import unittest
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "train"))

import classifier
import evaluate
import held_out
import world
from videos import TASKS

ROWS = [dict(text="", scene="lake", time=None, weather="rain", season="autumn", camera="zoom out",
             actors=["lantern", "boat"], colors=["red", None]),
        dict(text="", scene=None, time="night", weather=None, season=None, camera=None, actors=["car"],
             colors=["blue"]),
        dict(text="", scene=None, time=None, weather=None, season=None, camera="pan left", actors=[], colors=[])]


class Told(unittest.TestCase):
    def test_actors_are_in_the_order_of_the_world_with_their_own_colours(self):
        numbers = {k: v.tolist() for k, v in evaluate.told(ROWS)[1].items()}
        boat, car, lantern = (world.ACTORS.index(a) for a in ("boat", "car", "lantern"))
        self.assertEqual(numbers["actor"], [boat, car, -1])
        self.assertEqual(numbers["actor2"], [lantern, world.NOBODY, -1])
        self.assertEqual(numbers["color"], [-1, world.COLORS.index("blue"), -1])
        self.assertEqual(numbers["color2"], [world.COLORS.index("red"), -1, -1])
        self.assertEqual(numbers["scene"], [world.SCENES.index("lake"), -1, -1])
        self.assertEqual(numbers["season"], [world.SEASONS.index("autumn"), -1, -1])

    def test_views_follow_the_camera(self):
        self.assertEqual(evaluate.view_of(ROWS, 0).tolist(), [3, -1, 0])
        self.assertEqual(evaluate.view_of(ROWS, 200).tolist(), [0, -1, 1])

    def test_every_held_out_sentence_can_be_asked_for(self):
        for rows in (held_out.SENTENCES, held_out.OPEN):
            texts, numbers = evaluate.told(rows)
            self.assertEqual(len(texts), len(rows))
            for task, wanted in numbers.items():
                self.assertTrue(bool((wanted < TASKS[task]).all()), task)


class Read(unittest.TestCase):
    def test_both_actors_count_with_both_colours(self):
        truth = {t: torch.zeros(4, dtype=torch.long) for t in TASKS}
        truth["color2"] = torch.tensor([0, 0, 0, -1])  # the last video has one actor

        def model(first, second):
            logits = {t: torch.nn.functional.one_hot(truth[t].clamp(min=0), n).float() for t, n in TASKS.items()}
            logits["color2"] = torch.roll(logits["color2"], 1, 1) * torch.tensor([1.0, 0, 0, 0])[:, None]
            logits["color2"][1:, 0] = 1
            return logits

        shares = classifier.read(model, torch.rand(4, classifier.GAP + 1, 3, 8, 8), truth)
        self.assertAlmostEqual(shares["both"], 2 / 3, places=5)
        self.assertAlmostEqual(shares["color2"], 2 / 3, places=5)
        self.assertEqual(shares["scene"], 1.0)


if __name__ == "__main__":
    unittest.main()
