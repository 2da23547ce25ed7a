"""Tests of the captions and the tokenizer: python -m unittest discover -s tests/train -p "*_test.py"."""

import random
import re
import sys
import unittest
from collections import Counter
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "train"))

import captions
import known_words
import world
from captions import HELD_OUT_SENTENCES, caption

NAMES = dict(scene=world.SCENES, time=world.TIMES, weather=world.WEATHER, actor=world.ACTORS, color=world.COLORS)
TOKENIZER = ROOT / "assets" / "demo" / "spiece.model"


def captions_of_random_clips(n, seed=1, second=False):
    """Pairs of parameters (ints) and caption."""
    params = world.sample(n, torch.Generator().manual_seed(seed))
    columns = {key: value.tolist() for key, value in params.items()}
    rng = random.Random(seed)
    for i in range(n):
        clip = {key: value[i] for key, value in columns.items()}
        yield clip, caption(clip, rng, second)


def folded(text):
    return re.sub(r"[^\w]+", " ", text.lower()).strip()


class KnownWordsTest(unittest.TestCase):
    def test_the_models_file_has_the_words_of_the_captions(self):
        self.assertEqual(known_words.FILE.read_text(), known_words.file_text())

    def test_they_are_those_that_people_use_for_the_drawn_world(self):
        known = set(known_words.known_words())
        words = Counter(word for sentence in HELD_OUT_SENTENCES
                        for word in re.findall("[a-z]{2,}", sentence["text"].lower()))
        unknown = {word: count for word, count in words.items() if word not in known}
        self.assertLess(sum(unknown.values()) / sum(words.values()), 0.04, unknown)  # chosen to be unusual
        self.assertFalse(known & {"cat", "sofa", "sleeping", "dog", "man"})


class CaptionTest(unittest.TestCase):
    def test_captions_are_clean_and_varied(self):
        texts = [text for _, text in captions_of_random_clips(20000)]
        self.assertGreater(len(set(texts)), 19500)
        for text in texts:
            self.assertEqual(text, text.strip())
            self.assertNotRegex(text, r"\s\s|,,|None")
            self.assertTrue(2 <= len(text.split()) <= 60, text)
        self.assertGreater(len(Counter(text.split()[0].lower() for text in texts)), 150)

    def test_each_attribute_is_mostly_told(self):
        """A word that only one value's captions use gives the value away: counts the captions that hold such a word."""
        pairs = [(clip, set(folded(text).split())) for clip, text in captions_of_random_clips(20000)]
        for key, names in NAMES.items():
            if key in ("time", "weather"):
                continue  # told by phrases as well
            of_value = [Counter(w for clip, words in pairs if clip[key] == k for w in words) for k in range(len(names))]
            total = sum(of_value, Counter())
            telling = [{w for w, c in counter.items() if c >= 20 and c > 0.7 * total[w]} for counter in of_value]
            told = sum(bool(words & telling[clip[key]]) for clip, words in pairs) / len(pairs)
            self.assertGreater(told, 0.80, key)

    def test_second_tells_the_state_after_the_change(self):
        clip = dict(scene=1, time=1, weather=0, actor=1, color=0, direction=1, start=0, time2=3, weather2=3, change=9)
        rng = random.Random(5)
        words = Counter(w for _ in range(500) for w in set(folded(caption(clip, rng, True)).split()))
        self.assertGreater(words["night"] + words["midnight"] + words["dark"], 150)
        self.assertEqual(words["sunny"] + words["noon"] + words["rain"], 0)

    def test_a_complete_caption_leaves_out_the_direction_at_most(self):
        clip = dict(scene=1, time=1, weather=0, actor=1, color=0, direction=1, start=0, time2=3, weather2=3, change=9)
        rng = random.Random(5)
        told = [Counter(i for _ in range(1000) for i, name in enumerate(captions._mentioned(clip, rng, False, complete))
                        if name is not None)
                for complete in (False, True)]
        self.assertEqual([told[True][i] for i in range(5)], [1000] * 5)
        self.assertTrue(all(400 < told[complete][5] < 800 for complete in (False, True)))
        self.assertTrue(all(told[False][i] < 1000 for i in range(5)))

    def test_same_seed_same_captions(self):
        self.assertEqual(list(captions_of_random_clips(50, 3)), list(captions_of_random_clips(50, 3)))


class HeldOutTest(unittest.TestCase):
    def test_labels_exist_and_cover_all_classes(self):
        self.assertGreaterEqual(len(HELD_OUT_SENTENCES), 60)
        for key, names in NAMES.items():
            labels = {sentence[key] for sentence in HELD_OUT_SENTENCES} - {None}
            self.assertEqual(labels, set(names), key)
        for sentence in HELD_OUT_SENTENCES:
            if sentence["scene"] and sentence["actor"]:
                self.assertIn(sentence["actor"], world.actors_of(sentence["scene"]), sentence["text"])
        self.assertIn("a red balloon drifts over snowy hills at dawn", [s["text"] for s in HELD_OUT_SENTENCES])

    def test_the_grammar_does_not_write_them(self):
        held_out = {folded(sentence["text"]) for sentence in HELD_OUT_SENTENCES if len(sentence["text"].split()) > 2}
        for _, text in captions_of_random_clips(100000, seed=11):
            self.assertNotIn(folded(text), held_out)


@unittest.skipUnless(TOKENIZER.exists(), f"no {TOKENIZER}")
class TokenizerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            import sentencepiece
        except ImportError as error:
            raise unittest.SkipTest("the Python package sentencepiece is not installed") from error
        cls.processor = sentencepiece.SentencePieceProcessor(model_file=str(TOKENIZER))

    def test_ids_are_laid_out_as_in_umt5(self):
        p = self.processor
        self.assertEqual((p.pad_id(), p.eos_id(), p.bos_id(), p.unk_id()), (0, 1, 2, 3))

    def test_captions_are_short_and_known(self):
        for _, text in captions_of_random_clips(2000, 7):
            ids = self.processor.encode(text)
            self.assertLessEqual(len(ids) + 1, 64, text)
            self.assertNotIn(3, ids)
        for sentence in HELD_OUT_SENTENCES:
            self.assertLessEqual(len(self.processor.encode(sentence["text"])) + 1, 64)

    def test_capitals_do_not_matter_and_bytes_survive(self):
        self.assertEqual(self.processor.encode("A RED Balloon"), self.processor.encode("a red balloon"))
        self.assertEqual(self.processor.decode(self.processor.encode("zürich 🎈")), "zürich 🎈")


if __name__ == "__main__":
    unittest.main()
