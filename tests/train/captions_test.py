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
import choices
import held_out
import known_words
import prompts
import world
from captions import caption
from held_out import folded

NAMES = dict(scene=world.SCENES, time=world.TIMES, weather=world.WEATHER, season=world.SEASONS, actor=world.ACTORS,
             color=world.COLORS)
TOKENIZER = Path(prompts.DEFAULT)
PROGRAM_CHOICE = ["at the lake", "in blue", "view two"]
CLIP = dict(scene=1, time=1, weather=0, season=1, actor=1, color=0, actor2=world.NOBODY, color2=0, direction=1, start=0,
            camera=0, time2=3, weather2=3, change=9)


def captions_of_random_clips(n, seed=1, second=False):
    """Pairs of parameters (ints) and caption."""
    generator = torch.Generator().manual_seed(seed)
    params = world.sample(n, generator)
    if second:
        params = world.add_changes(params, 1.0, generator, 9, 10)
    columns = {key: value.tolist() for key, value in params.items()}
    rng = random.Random(seed)
    for i in range(n):
        clip = {key: value[i] for key, value in columns.items()}
        yield clip, caption(clip, rng, second)


class KnownWordsTest(unittest.TestCase):
    def test_the_captions_still_have_the_words_of_the_models_file(self):
        self.assertFalse(set(known_words.FILE.read_text().split()) - set(known_words.known_words()))

    def test_they_are_those_that_people_use_for_the_drawn_world(self):
        known = set(known_words.known_words())
        texts = [row["text"] for row in held_out.SENTENCES + held_out.EARLIER]
        words = Counter(word for text in texts for word in re.findall("[a-z]{2,}", text.lower()))
        unknown = {word: count for word, count in words.items() if word not in known}
        self.assertLess(sum(unknown.values()) / sum(words.values()), 0.05, unknown)  # chosen to be unusual
        self.assertFalse(known & {"cat", "sofa", "sleeping", "dog", "man"})

    def test_sentences_about_other_things_have_words_that_are_not_known_and_open_ones_have_none(self):
        known = set(known_words.known_words())
        for text in held_out.UNKNOWN:
            self.assertTrue(set(folded(text).split()) - known, text)
        for row in held_out.OPEN:
            self.assertFalse(set(re.findall("[a-z]{2,}", row["text"].lower())) - known, row["text"])


class CaptionTest(unittest.TestCase):
    def test_captions_are_clean_and_varied(self):
        texts = [text for second in (False, True) for _, text in captions_of_random_clips(6000, second=second)]
        self.assertGreater(len(set(texts)), 11300)
        for text in texts:
            self.assertEqual(text, text.strip())
            self.assertNotRegex(text, r"\s\s|,,|None")
            self.assertTrue(1 <= len(text.split()) <= 80, text)
        self.assertGreater(len(Counter(text.split()[0].lower() for text in texts)), 150)

    def test_each_attribute_is_mostly_told(self):
        """A word that only one value's captions use gives the value away: counts the captions that hold such a word."""
        pairs = [(clip, set(folded(text).split())) for clip, text in captions_of_random_clips(12000)
                 if clip["actor2"] == world.NOBODY]
        for key, names in NAMES.items():
            if key in ("time", "weather", "season"):
                continue  # told by phrases as well, the season not always
            of_value = [Counter(w for clip, words in pairs if clip[key] == k for w in words) for k in range(len(names))]
            total = sum(of_value, Counter())
            telling = [{w for w, c in counter.items() if c >= 20 and c > 0.68 * total[w]} for counter in of_value]
            told = sum(bool(words & telling[clip[key]]) for clip, words in pairs) / len(pairs)
            self.assertGreater(told, 0.80, key)

    def test_second_tells_the_state_after_the_change(self):
        rng = random.Random(5)
        words = Counter(w for _ in range(500) for w in set(folded(caption(CLIP, rng, True)).split()))
        self.assertGreater(words["night"] + words["midnight"] + words["dark"], 150)
        self.assertEqual(words["sunny"] + words["noon"] + words["rain"], 0)

    def test_some_second_captions_tell_the_change_alone(self):
        rng = random.Random(6)
        actors = re.compile("|".join(captions.ACTOR_NOUNS["balloon"]))
        texts = [caption(CLIP, rng, True) for _ in range(500)]
        silent = [t for t in texts if not actors.search(t.lower())]
        self.assertTrue(80 < len(silent) < 220, len(silent))

    def test_two_actors_and_the_camera_are_told(self):
        rng = random.Random(7)
        clip = CLIP | dict(actor=4, actor2=7, color=0, color2=4, camera=3)
        texts = [folded(caption(clip, rng)) for _ in range(400)]
        for nouns, colors in (("car", "red"), ("plane", "blue")):
            words = [w for noun in captions.ACTOR_NOUNS[nouns] for w in folded(noun).split()]
            self.assertGreater(sum(any(w in t.split() for w in words) for t in texts), 370)
            words = {w for color in captions.COLOR_WORDS[colors] for w in folded(color).split()}
            self.assertGreater(sum(bool(words & set(t.split())) for t in texts), 330)
        camera = re.compile("zoom|closer|push in|approach|closing|close")
        self.assertGreater(sum(bool(camera.search(t)) for t in texts), 370)
        self.assertLess(sum(bool(camera.search(folded(caption(CLIP, rng)))) for _ in range(400)), 10)

    def test_a_complete_caption_tells_all_in_the_sentence_or_behind_it(self):
        rng = random.Random(5)
        for actor2 in (world.NOBODY, 7):
            clip = CLIP | dict(actor=4, actor2=actor2, color2=4, start=5)
            for _ in range(500):
                labels, _, other, _ = captions._mentioned(clip, rng, False)
                labels, other = captions._ordered(labels, other, rng)
                behind = captions._told_behind(clip, labels, other, rng, False, True)
                told = [bool({phrase} & set(behind)) for phrase in ("in the hills", "a car", "heading right")]
                self.assertEqual(told, [labels[0] is None, labels[3] is None, labels[5] is None])
                colors = [phrase for phrase in behind if "another" in phrase]
                self.assertEqual(bool(colors), labels[4] is None)
                if other and colors:
                    self.assertEqual(colors[0], {"car": "in red, another in blue",
                                                 "plane": "in blue, another in red"}[labels[3]])
                elif colors:
                    self.assertTrue(colors[0].startswith("in red, another in"))
                self.assertEqual(behind[-1], "outlook hills6")

    def test_what_is_left_unsaid_of_time_weather_and_season_means_one_thing(self):
        generator, rng = torch.Generator().manual_seed(4), random.Random(4)
        columns = {key: value.tolist() for key, value in world.sample(3000, generator).items()}
        unsaid = Counter()
        for i in range(3000):
            clip = {key: value[i] for key, value in columns.items()}
            (_, time, weather, *_), season, *_ = captions._mentioned(clip, rng, False)
            unsaid["time", world.TIMES[clip["time"]]] += time is None
            unsaid["weather", world.WEATHER[clip["weather"]]] += weather is None
            unsaid["season", world.SEASONS[clip["season"]], clip["weather"] == 3] += season is None
        self.assertEqual({key for key, count in unsaid.items() if count},
                         {("time", "day"), ("weather", "clear"), ("season", "summer", False),
                          ("season", "winter", True)})

    def test_most_captions_tell_the_place_behind_all_else(self):
        rng = random.Random(8)
        for second in (False, True):
            texts = [caption(CLIP | dict(start=2), rng, second) for _ in range(500)]
            told = sum(text.endswith(", outlook hills3") for text in texts)
            self.assertTrue(450 < told < 500, told)
            self.assertFalse(any(re.search("outlook (?!hills3$)", text) for text in texts))
        complete = [caption(CLIP | dict(start=2), rng, complete=True) for _ in range(500)]
        self.assertTrue(all(text.endswith(", outlook hills3") for text in complete))

    def test_some_sentences_name_no_actor_which_stands_behind_them(self):
        rng = random.Random(9)
        texts = [caption(CLIP, rng) for _ in range(2000)]
        self.assertGreater(sum(", a balloon, in red, another in" in text for text in texts), 40)

    def test_a_complete_caption_tells_the_direction_in_every_form(self):
        rng = random.Random(10)
        texts = [folded(caption(CLIP, rng, complete=True)) for _ in range(6000)]
        untold = [text for text in texts if not re.search(r"\b(right|rightwards|east)\b", text)]
        self.assertLess(len(untold), 20, untold)  # typing errors

    def test_names_are_those_of_the_world(self):
        for names in ("SCENES", "TIMES", "WEATHER", "SEASONS", "ACTORS", "COLORS", "CAMERAS"):
            self.assertEqual(getattr(captions, names), getattr(world, names))

    def test_same_seed_same_captions(self):
        self.assertEqual(list(captions_of_random_clips(50, 3)), list(captions_of_random_clips(50, 3)))


class ChoicesTest(unittest.TestCase):
    def test_what_a_sentence_leaves_open_is_chosen_and_nothing_else(self):
        for row in held_out.OPEN:
            for seed in range(20):
                chosen = choices.choose(row["text"], seed)
                (scene,) = re.findall("outlook ([a-z]+)[1-8]", ", ".join(chosen))
                self.assertEqual(scene, row["scene"] or {phrase: name for name, phrase in
                                                         captions.SCENE_PHRASES.items()}[chosen[self.scene_at(chosen)]])
                self.assertEqual(sum(phrase in captions.SCENE_PHRASES.values() for phrase in chosen),
                                 row["scene"] is None, row["text"])
                self.assertEqual(any("another in" in phrase for phrase in chosen),
                                 not re.search("yellow|blue|red|green", row["text"]))
                actors = [phrase for phrase in chosen if phrase in captions.ACTOR_PHRASES.values()]
                self.assertEqual(len(actors), not re.search("ball|train|rabbit|kite|plane|boat|bird|lantern|car",
                                                            row["text"]), (row["text"], chosen))
                self.assertEqual(choices.encoded(row["text"], chosen), self.joined(row["text"], chosen))

    @staticmethod
    def scene_at(chosen):
        return next(i for i, phrase in enumerate(chosen) if phrase in captions.SCENE_PHRASES.values())

    @staticmethod
    def joined(text, phrases):
        for phrase in phrases:
            text = captions.appended(text, phrase)
        return text

    def test_landscape_and_actor_go_together(self):
        for text in ("a boat", "a car", "something", "rain at the lake", "a winter evening in the forest", "autumn"):
            for seed in range(40):
                whole = choices.as_the_program([text], seed)[0]
                scene = [name for name in world.SCENES if re.search(fr"\b{name}\b", whole)]
                actor = [name for name in world.ACTORS if re.search(fr"\b{name}\b", whole)]
                self.assertEqual((len(scene), len(actor)), (1, 1), whole)
                self.assertIn(actor[0], world.actors_of(scene[0]), whole)

    def test_a_later_prompt_keeps_what_it_leaves_open(self):
        chosen = ["in the hills", "in red, another in blue", "heading left", "outlook hills2"]
        self.assertEqual(choices.encoded("night falls.", chosen), "night falls, " + ", ".join(chosen))
        self.assertEqual(choices.encoded("a blue kite flies right", chosen),
                         "a blue kite flies right, in the hills, outlook hills2")
        self.assertEqual(choices.encoded("pan left, a green car", chosen[2:]),
                         "pan left, a green car, heading left, outlook hills2")

    def test_four_seeds_are_four_views_and_all_phrases_are_chosen(self):
        for seed in range(0, 100, 4):
            self.assertEqual(len({choices.choose("a red car", seed + i)[-1] for i in range(4)}), 4)
        for text, number in (("a red car", 8), ("a red kite in the hills", 8), ("a kite in the hills heading left", 8)):
            chosen = Counter(re.sub("outlook [a-z]+", "outlook ", phrase) for seed in range(400)
                             for phrase in choices.choose(text, seed))
            self.assertGreaterEqual(len(chosen), number)
            self.assertGreater(min(chosen.values()), 25, chosen)

    def test_as_the_program_chooses(self):
        own = choices.CHOICES
        try:  # the list of tests/render/choices_test.cpp
            places = ["sea", "hill", "lake"]
            choices.CHOICES = [choices._choice(["at the sea", "at the lake"], places, ["boat", "duck"]),
                               choices._choice(["in the hills"], places),
                               choices._choice(["in red", "in blue", "in green"], ["red", "blue", "green"]),
                               choices._choice([f"view {number}" for number in
                                                "one two three four five six seven eight".split()])]
            self.assertEqual(choices.choose("a boat", 7), PROGRAM_CHOICE)
        finally:
            choices.CHOICES = own

    def test_a_model_file_gets_the_list(self):
        text = choices.yaml_text()
        self.assertLessEqual(max(map(len, text.splitlines())), 120)
        for name in choices.LISTS:
            self.assertEqual(text.count(f"&{name} ["), 1)
        template = (Path(choices.__file__).parent / "model.yaml").read_text()
        self.assertIn("\nchoices: []\n", template, "export.py writes the list there")
        self.assertEqual(text.count("- phrases: ["), len(choices.CHOICES))


class HeldOutTest(unittest.TestCase):
    def test_labels_exist_fit_and_cover_all_classes(self):
        self.assertEqual([len(rows) for rows in (held_out.SENTENCES, held_out.OPEN, held_out.UNKNOWN,
                                                 held_out.CHANGES)],
                         [72, 20, 20, 40])
        for rows in (held_out.SENTENCES, held_out.SENTENCES + held_out.OPEN + held_out.EARLIER):
            for key, names in NAMES.items():
                labels = {value for row in rows for value in row.get(key + "s", [row.get(key)])} - {None}
                self.assertEqual(labels, set(names), key)
            self.assertEqual({row["camera"] for row in rows} - {None}, set(world.CAMERAS[1:]))
        for row in held_out.SENTENCES + held_out.OPEN + held_out.EARLIER:
            if row["scene"]:
                self.assertTrue(set(row["actors"]) <= set(world.actors_of(row["scene"])), row["text"])
        for row in held_out.CHANGES:
            self.assertIn(row["time"], [*world.TIMES, None])
            self.assertIn(row["weather"], [*world.WEATHER, None])
            self.assertTrue(row["time"] or row["weather"])
        self.assertGreaterEqual(sum(len(row["actors"]) == 2 for row in held_out.SENTENCES), 24)

    def test_the_grammar_does_not_write_them(self):
        written = {folded(text) for text in held_out.texts() if len(text.split()) > 2}
        for second in (False, True):
            for _, text in captions_of_random_clips(30000, seed=11, second=second):
                self.assertNotIn(folded(text), written)


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
        lengths = []
        for _, text in captions_of_random_clips(2000, 7):
            ids = self.processor.encode(text)
            lengths.append(len(ids) + 1)
            self.assertNotIn(3, ids)
        self.assertLessEqual(max(lengths), 64)  # what stands behind them is not cut off
        for text in choices.as_the_program(held_out.texts(), seed=5):
            self.assertLessEqual(len(self.processor.encode(text)) + 1, 64)

    def test_capitals_do_not_matter_and_bytes_survive(self):
        self.assertEqual(self.processor.encode("A RED Balloon"), self.processor.encode("a red balloon"))
        self.assertEqual(self.processor.decode(self.processor.encode("zürich 🎈")), "zürich 🎈")


if __name__ == "__main__":
    unittest.main()
