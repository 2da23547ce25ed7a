"""Writes assets/demo/words.txt: the words of the captions that say something of the drawn world, and those between.

Not among them: the everyday words that are mixed into captions for the model to ignore.
"""

import re
from pathlib import Path

import captions

FILE = Path(__file__).resolve().parents[2] / "assets" / "demo" / "words.txt"
# Between the phrases: articles, pronouns, prepositions, auxiliaries, what a wish for a video begins with, and what the
# captions' code puts around a colour or in place of an actor.
BETWEEN = """
    a about again all also an and any are as at be been behind before below beneath beside between but by can color
    colored colour coloured come comes coming completely do does down during each even ever every few for from get
    gets glow glowing glows goes going gone has have he her here his i in inside into is it its just like little
    made many may me more most move moves moving much my near no not object of off on one only onto or our out over
    painted same she so some somebody someone something somewhere stay stays still than that the their them then
    there they thing this through to together too toward towards traveller turn turned turning turns under until up
    upon very was watch we were what when where which while who will with without yet you your
""".split()


def phrases(value):
    """All texts in nested lists, tuples and dicts."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from phrases(entry)
    else:
        for entry in value:
            yield from phrases(entry)


def known_words():
    """Sorted, lower-case, letters alone."""
    tables = [captions.COLOR_WORDS, captions.ACTOR_NOUNS, captions.ACTOR_VERBS, captions.SCENE_NOUNS,
              captions.PREPOSITIONS, captions.TIME_PHRASES, captions.WEATHER_PHRASES, captions.BOTH_PHRASES,
              captions.ANY_VERBS, captions.COLOR_LIKENESS, captions.DIRECTION_WORDS, captions.SIZE_WORDS,
              captions.ADVERBS, captions.SCENE_ADJECTIVES, captions.STYLES, captions.OPENERS, captions.REQUESTS,
              captions.NOW, captions.THERE, captions.CHATTER, captions.PAIR_VERBS, captions.PAIR_LINKS,
              captions.SEASON_PHRASES, captions.PART_NAMES, captions.CAMERA_PHRASES, captions.CHANGES_TO,
              captions.STOPS, captions.BECOMES, captions.VIEW_PHRASES, BETWEEN]
    words = set(re.findall("[a-z]{2,}", " ".join(phrases(tables)).lower()))
    landscapes = re.findall("[a-z]+s\\b", " ".join(phrases(captions.SCENE_NOUNS)).lower())
    return sorted(words | {word[:-1] for word in landscapes if not word.endswith("ss")})  # "hills": and "hill"


def file_text():
    """Lines of at most 120 characters."""
    lines = [""]
    for word in known_words():
        if len(lines[-1]) + len(word) > 119:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    FILE.write_text(file_text())
