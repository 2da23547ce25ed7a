"""Tests of the text encoder's training: python -m unittest discover -s tests/train -p "*_test.py"."""

import random
import sys
import unittest
import unittest.mock
from argparse import Namespace
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "train"))

import captions
import train_text
import train_transformer
import umt5
import world
from optim import TEXT_RATES, Trainer
from prompts import Tokenizer
from videos import PAIRS, draw_parameters
from wan_transformer import Geometry


class Answers(unittest.TestCase):
    def test_they_are_what_the_caption_says(self):
        generator, rng = torch.Generator().manual_seed(3), random.Random(3)
        params = draw_parameters(40, generator, pairs=PAIRS)
        y = train_text.answers(params)
        self.assertEqual(set(y), set(train_text.QUESTIONS))
        self.assertEqual(int((params["actor2"] != world.NOBODY).sum()), int(40 * PAIRS))
        for i in range(40):
            clip = {k: int(v[i]) for k, v in params.items()}
            colours = {world.ACTORS[clip["actor"]]: clip["color"]}
            if clip["actor2"] != world.NOBODY:
                colours[world.ACTORS[clip["actor2"]]] = clip["color2"]
            for actor in world.ACTORS:
                self.assertEqual(int(y[actor][i]), colours.get(actor, train_text.ABSENT))
            place = captions.VIEW_PHRASES[world.SCENES[clip["scene"]]][clip["start"]]
            self.assertIn(place, captions.caption(clip, rng, complete=True))
            self.assertEqual(int(y["place"][i]), world.STARTS * clip["scene"] + clip["start"])

    def test_right_counts_a_caption_whose_actors_are_all_right(self):
        class Knows(nn.Module):  # all but the second caption's ball
            def forward(self, rows, mask):
                logits = {q: F.one_hot(y[q], n).float() for q, n in train_text.QUESTIONS.items()}
                logits["ball"][1] = F.one_hot((y["ball"][1] + 1) % (train_text.ABSENT + 1), train_text.ABSENT + 1)
                return logits
        params = draw_parameters(8, torch.Generator().manual_seed(1), pairs=PAIRS)
        y, two = train_text.answers(params), params["actor2"] != world.NOBODY
        shares = train_text.right(lambda ids: None, Knows(), (torch.ones(8, 3, dtype=torch.long), y, two))
        self.assertEqual(float(shares["place"]), 1.0)
        self.assertEqual(float(shares["two actors"] if two[1] else shares["one actor"]), 0.75)
        self.assertEqual(float(shares["one actor"] if two[1] else shares["two actors"]), 1.0)


class Words(unittest.TestCase):
    """A language of colours (words 4 to 7), things (8 to 11) and a word between: which colour stands before a thing?"""

    def batch(self, n):
        colours = torch.stack([torch.randperm(4)[:2] for _ in range(n)])
        things = torch.stack([torch.randperm(4)[:2] for _ in range(n)])
        between = torch.full((n,), 2)
        ids = torch.stack([4 + colours[:, 0], 8 + things[:, 0], between, 4 + colours[:, 1], 8 + things[:, 1]], 1)
        asked = torch.randint(0, 2, (n,))
        row = asked * 3 + 1
        return ids, row, colours.gather(1, asked[:, None])[:, 0]

    def test_the_encoder_learns_which_words_belong_together(self):
        torch.manual_seed(2)
        model = nn.ModuleDict({"text": umt5.UMT5Encoder(12, 32, 4, 48, 2), "colour": nn.Linear(32, 4)})
        trainer = Trainer(model.named_parameters(), [], 0.0, 2e-3, 0.0, 1.0, 20)

        def step_of(n):
            ids, row, colour = self.batch(n)
            logits = model["colour"](model["text"](ids)[torch.arange(n), row])
            return F.cross_entropy(logits, colour), (logits.argmax(1) == colour).float().mean()
        for _ in range(400):
            trainer.step(step_of(64)[0], 1.0)
        with torch.no_grad():
            self.assertGreater(float(step_of(512)[1]), 0.98)

    def test_rates_of_their_own_are_the_text_encoders(self):
        model = train_transformer.Model(train_transformer.TOY, 20)
        names = [n for n, _ in model.named_parameters()]
        for part in TEXT_RATES:
            self.assertTrue(any(part in n for n in names), part)
            self.assertTrue(all(n.startswith("text.") for n in names if part in n), part)


class Run(unittest.TestCase):
    def test_trains_until_its_time_is_over(self):
        torch.manual_seed(1)
        vocabulary = Tokenizer().vocabulary
        known = umt5.UMT5Encoder(vocabulary, Geometry().text_dim).requires_grad_(False)
        encoder = umt5.UMT5Encoder(vocabulary, Geometry().text_dim)
        lines = []
        patch = unittest.mock.patch.object
        with patch(train_text, "elapsed", iter(range(100)).__next__), patch(train_text, "UNSEEN", 16):
            trained, shares = train_text.train(encoder, known, Namespace(seconds=6, batch=4, rate=1e-3),
                                               lambda *words: lines.append(words))
        self.assertEqual(lines[-1][:2], ("trained", 5))
        self.assertEqual(set(trained.state_dict()), set(known.state_dict()))
        self.assertTrue(all(bool(p.isfinite().all()) for p in trained.parameters()))
        self.assertIn("two actors", shares)


if __name__ == "__main__":
    unittest.main()
