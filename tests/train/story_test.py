"""Tests of the wishes, the timelines and the tokenizer: python -m unittest discover -s tests/train -p "*_test.py"."""

import random
import sys
import unittest
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "train"))

import story_judge
import wishes
from story_model import Config, StoryModel, training_mask
from story_tokenizer import Tokenizer


def small_model():
    """Of random weights: 49 tokens and the mask token, blocks of 4."""
    torch.manual_seed(1)
    return StoryModel(Config(vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
                             num_attention_heads=4, num_key_value_heads=2, head_dim=8, block_size=4, mask_token_id=49))


class StoryTest(unittest.TestCase):
    def test_timelines_are_well_formed_and_keep_what_their_wish_tells(self):
        rng = random.Random(1)
        for _ in range(500):
            wish, seconds, lines, facts = wishes.sample(rng)
            timeline = story_judge.parsed("\n".join(lines), seconds)
            self.assertIsNotNone(timeline, (wish, lines))
            kept = story_judge.kept(timeline, facts)
            self.assertTrue(all(kept.values()), (wish, lines, facts, kept))
            self.assertEqual(wish, wish.strip())
            self.assertTrue(wish)

    def test_the_judge_finds_what_is_lost(self):
        timeline = story_judge.parsed("0: A red boat sails on the sea at dawn, in the rain.\n"
                                      "5: A red boat sails on the sea at night, in the rain.", 10)
        self.assertEqual(story_judge.kept(timeline, dict(color="red", weather="rain", times=["dawn", "night"])),
                         dict(color=True, weather=True, times=True))
        self.assertEqual(story_judge.kept(timeline, dict(color="blue", time="dawn", times=["night", "dawn"])),
                         dict(color=False, time=False, times=False))
        self.assertIsNone(story_judge.parsed("5: A red boat sails on the sea at dawn, in the rain.", 10))
        self.assertIsNone(story_judge.parsed("0: A red boat sails at dawn, in the rain.", 10))

    def test_tokens_give_the_text_again(self):
        tokenizer = Tokenizer.load(ROOT / "assets" / "story" / "tokenizer.json")
        rng = random.Random(2)
        for text in [wishes.sample(rng)[0] for _ in range(50)] + ["caf\u00e9  x\n\n  y's 12"]:
            self.assertEqual(tokenizer.decode(tokenizer.encode(text)), text)

    def test_a_noisy_block_sees_itself_and_the_clean_blocks_before_it(self):
        """The training pass over two copies gives what decoding block by block sees."""
        model = small_model()

        clean = torch.randint(0, 49, (1, 12))
        noisy = torch.full_like(clean, 49)
        place = torch.arange(12)
        both = model.hidden(torch.cat([noisy, clean], 1), place.repeat(2), training_mask(12, 4, clean.device))
        for block in range(3):
            ids = torch.cat([clean[:, : 4 * block], noisy[:, 4 * block : 4 * block + 4]], 1)
            place = torch.arange(4 * block + 4)
            alone = model.hidden(ids, place, place[:, None] // 4 >= place[None] // 4)
            torch.testing.assert_close(both[:, 4 * block : 4 * block + 4], alone[:, -4:])

    def test_the_loss_leaves_out_noisy_prompts_alone(self):
        """Noisy copies of blocks before the answers change nothing."""
        model = small_model()
        ids = torch.randint(0, 49, (2, 16))
        counted = torch.zeros(2, 16, dtype=torch.bool)
        counted[0, 9:] = counted[1, 13:] = True
        torch.manual_seed(5)
        loss = model.loss(ids, counted)
        torch.manual_seed(5)
        order = torch.where(counted.view(2, 4, 4), torch.rand(2, 4, 4), 2.0).argsort(-1).argsort(-1)
        count = counted.view(2, 4, 4).sum(-1, keepdim=True)
        masked = ((order < (torch.rand(count.shape) * count).floor() + 1) & counted.view(2, 4, 4)).view(2, 16)
        both = torch.cat([torch.where(masked, 49, ids), ids], 1)
        hidden = model.hidden(both, torch.arange(16).repeat(2), training_mask(16, 4, ids.device))[:, :16]
        blocks = []
        for row in range(2):
            for block in range(4):
                at = [4 * block + i for i in range(4) if masked[row, 4 * block + i]]
                if at:
                    blocks.append(torch.nn.functional.cross_entropy(model.logits(hidden[row, at]), ids[row, at]))
        torch.testing.assert_close(loss, torch.stack(blocks).mean())


if __name__ == "__main__":
    unittest.main()
