"""What a prompt says, and whether a timeline keeps what its wish asked."""

import json
import re
import sys
from functools import cache

import captions as c
from wish_courses import TIME_NAMES, WEATHER_NAMES
from wish_words import TIME_OUT, WEATHER_OUT

LINE = re.compile(r"^(\d+): ([A-Z].*\.)$")


@cache
def phrases():
    """Words of prompts -> what they mean: a list of (attribute, value)."""
    found = {}

    def add(text, *meaning):
        for form in {text, text.replace("-", " ")}:
            found.setdefault(form.lower(), list(meaning))

    for (time, weather), forms in c.BOTH_PHRASES.items():
        for text in forms["adverb"]:
            add(text, ("time", time), ("weather", weather))
    for table, key in ((c.TIME_PHRASES, "time"), (c.WEATHER_PHRASES, "weather")):
        for value, forms in table.items():
            for text in forms["adverb"]:
                add(text, (key, value))
    for table, key in ((TIME_OUT, "time"), (WEATHER_OUT, "weather")):
        for value, texts in table.items():
            for text in texts:
                add(text, (key, value))
    for names, key in ((TIME_NAMES, "time"), (WEATHER_NAMES, "weather")):
        for _, value, text in names:
            if text:
                add(text, (key, value))
    for table, key in ((c.COLOR_WORDS, "color"), (c.ACTOR_NOUNS, "actor")):
        for value, texts in table.items():
            for text in texts:
                add(text, (key, value))
    for value, pairs in c.SCENE_NOUNS.items():
        for _, text in pairs:
            add(text, ("scene", value))
    return found


@cache
def _pattern():
    return re.compile(r"(?<![\w-])(" + "|".join(map(re.escape, sorted(phrases(),
                                                                      key=len, reverse=True))) + r")(?![\w-])")


def named(text):
    """attribute -> (value, word) of the first actor, colour and landscape that a text names."""
    found = {}
    for match in _pattern().finditer(text.lower()):
        for key, value in phrases()[match.group(1)]:
            if key in ("actor", "color", "scene"):
                found.setdefault(key, (value, match.group(1)))
    return found


def meaning(prompt):
    """The attributes that a prompt names: dict of scene, actor, color, time, weather; the first of each, but the last
    landscape: "waves" is what a kite may do, too."""
    said = {}
    for match in _pattern().finditer(prompt.lower()):
        for key, value in phrases()[match.group(1)]:
            if key == "scene" or key not in said:
                said[key] = value
    return said


def parsed(text, seconds):
    """[(seconds, prompt)] of a well-formed timeline, else None: lines `SECONDS: prompt`, from 0, ascending, below the
    length, each naming everything."""
    lines = [LINE.match(line) for line in text.strip().split("\n")]
    if not all(lines):
        return None
    timeline = [(int(m.group(1)), m.group(2)) for m in lines]
    starts = [start for start, _ in timeline]
    good = starts[0] == 0 and all(a < b for a, b in zip(starts, starts[1:])) and starts[-1] < seconds
    whole = all(len(meaning(prompt)) == 5 for _, prompt in timeline)
    return timeline if good and whole else None


def _changes(values):
    return [v for i, v in enumerate(values) if i == 0 or v != values[i - 1]]


def _in_order(wanted, found):
    """Whether the values come in this order, with any others between them. A value "a|b" is either."""
    rest = iter(found)
    return all(any(value in wanted_value.split("|") for value in rest) for wanted_value in wanted)


def kept(timeline, facts):
    """Which facts a timeline keeps: dict of bool. scene, actor, color: in every line; times, weathers, scenes, colors:
    in this order, each time in one line or more; all_times, all_weathers: in every line."""
    said = [meaning(prompt) for _, prompt in timeline]
    result = {}
    for key, value in facts.items():
        if key in ("scene", "actor", "color"):
            if key + "s" not in facts:
                result[key] = all(s.get(key) in value.split("|") for s in said)
        elif key in ("time", "weather"):
            result[key] = all(s.get(key) in value.split("|") for s in said)
        else:
            result[key] = _in_order(_changes(value), [s.get(key[:-1]) for s in said])
    return result


if __name__ == "__main__":  # python3 story_judge.py FILE: the phrases, for tests of the program
    with open(sys.argv[1], "w") as file:
        json.dump({text: said for text, said in sorted(phrases().items())}, file, separators=(",", ":"))
        file.write("\n")
