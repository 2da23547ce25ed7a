"""What a sentence leaves open is told in phrases behind it: in training by what the video shows, in use by the seed.

`CHOICES` is the list that a model file has under `choices` (docs/config.md); `choose` and `encoded` do what the program
does with it (render/choices.cpp), for evaluation.
"""
import re
import textwrap

import captions
from captions import (ACTOR_PHRASES, ACTORS, COLORS, DIRECTION_PHRASES, SCENE_PHRASES, SCENES, VIEW_PHRASES, appended,
                      color_phrase)

WATER, ASHORE = ["boat", "duck"], ["ball", "car", "train", "rabbit"]  # actors of one kind of landscape; others fly
FLYING = [actor for actor in ACTORS if actor not in WATER + ASHORE]


# ---- the list of a model file

def _heads(nouns):
    """The words that name the thing: "kite" of "kite on a string", "red" of "cherry-red"."""
    parts = [part for noun in nouns for part in re.split(" and ", re.split(" on | with | by | of | in | between ",
                                                                           noun.lower())[0])]
    return {re.split("[ -]", part)[-1] for part in parts}


def _singulars(words):
    """With "hill" for "hills"; people use both."""
    return words | {word[:-1] for word in words if word.endswith("s") and not word.endswith("ss")}


def _words_of(table, keys):
    return set().union(*(table[key] for key in keys))


# Words of captions that are in sentences about anything do not tell a landscape.
ANYWHERE = set("plain country west pass range tops square walls swell clearing leaves landscape".split())
SCENE_WORDS = {scene: _singulars(_heads(noun for _, noun in captions.SCENE_NOUNS[scene]) - ANYWHERE)
               for scene in SCENES}
ACTOR_WORDS = {actor: _heads(captions.ACTOR_NOUNS[actor]) for actor in ACTORS}
# Verbs of one actor, which people use without it: "someone is driving home".
VERBS = {"car": "drive drives driving drove", "train": "chugs chugging steams steaming",
         "ball": "bounce bounces bouncing", "rabbit": "hop hops hopping", "duck": "swim swims swimming paddles",
         "boat": "sail sails sailing row rows rowing", "bird": "flaps flapping sings singing"}
# Lists of words that several choices share.
LISTS = dict(
    actors=_words_of(ACTOR_WORDS, ACTORS), landscapes=_words_of(SCENE_WORDS, SCENES),
    swimmers=_words_of(ACTOR_WORDS, WATER), walkers=_words_of(ACTOR_WORDS, ASHORE),
    waters=_words_of(SCENE_WORDS, ["sea", "lake"]),
    colors=set().union(*map(_heads, captions.COLOR_WORDS.values())) | {"color", "colour", "colored", "coloured"},
    ways=set("left right west east leftward leftwards rightward rightwards".split()))


def _choice(phrases, unless=None, when=None):
    """unless, when: the name of a list, or words."""
    return dict(phrases=list(phrases), unless=unless, when=when)


CHOICES = [
    *(_choice([ACTOR_PHRASES[actor]], "actors", verbs.split()) for actor, verbs in VERBS.items()),
    _choice([SCENE_PHRASES[scene] for scene in ("sea", "lake")], "landscapes", "swimmers"),
    _choice([SCENE_PHRASES[scene] for scene in SCENES if scene not in ("sea", "lake")], "landscapes", "walkers"),
    _choice(SCENE_PHRASES.values(), "landscapes"),
    _choice([ACTOR_PHRASES[actor] for actor in WATER + FLYING], "actors", "waters"),
    _choice([ACTOR_PHRASES[actor] for actor in ASHORE + FLYING], "actors"),
    _choice([color_phrase(color, COLORS[(i + 4) % len(COLORS)]) for i, color in enumerate(COLORS)], "colors"),
    _choice(DIRECTION_PHRASES.values(), "ways"),
    # "left" may be where the camera pans to
    _choice(DIRECTION_PHRASES.values(), "heading from west east leftwards rightwards".split(),
            "pan pans panning swing swings".split()),
    # of the landscape that is told by now; of one alone
    *(_choice(VIEW_PHRASES[scene], ["outlook"], sorted(SCENE_WORDS[scene])) for scene in SCENES),
]


def words_of(choice, key):
    value = choice[key]
    return set() if value is None else LISTS[value] if isinstance(value, str) else set(value)


def yaml_text():
    """CHOICES as a model file has them, in lines of at most 120 characters; what stands again is an alias."""
    lines, anchored = ["choices:"], set()
    for choice in CHOICES:
        for key in ("phrases", "unless", "when"):
            value = choice[key]
            if value is None:
                continue
            start = f"  {'-' if key == 'phrases' else ' '} {key}:"
            if isinstance(value, str) and value in anchored:
                lines.append(f"{start} *{value}")
                continue
            if isinstance(value, str):
                anchored.add(value)
                start += f" &{value}"
            words = [f'"{word}"' if "," in word else word
                     for word in (sorted(LISTS[value]) if isinstance(value, str) else value)]
            lines += textwrap.wrap(f"{start} [{', '.join(words)}]", 120, subsequent_indent=" " * 6,
                                   break_long_words=False, break_on_hyphens=False, replace_whitespace=False)
    return "\n".join(lines) + "\n"


# ---- as the program uses it

def _has_word_of(text, words):
    """Whole words and their plurals; without the typing errors that the program allows for."""
    return any(word in words or (word.endswith("s") and word[:-1] in words)
               for word in re.findall("[a-z]+", text.lower()))


def _is_told(choice, text):
    return _has_word_of(text, words_of(choice, "unless"))


def _applies(choice, text):
    when = words_of(choice, "when")
    return not _is_told(choice, text) and (not when or _has_word_of(text, when))


def _mix(bits):
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 % 2 ** 64
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB % 2 ** 64
    return bits ^ bits >> 31


def _chosen_index(seed, choice, count):
    return (_mix((_mix(seed // count + 1) + choice + 1) % 2 ** 64) % count + seed % count) % count


def choose(prompt, seed):
    """The phrases that a seed chooses for what a prompt leaves open."""
    chosen, text = [], prompt
    for i, choice in enumerate(CHOICES):
        if not _applies(choice, text):
            continue
        chosen.append(choice["phrases"][_chosen_index(seed, i, len(choice["phrases"]))])
        text = appended(text, chosen[-1])
    return chosen


def encoded(prompt, phrases):
    """A prompt of a video with those of its phrases that the prompt leaves open."""
    text = prompt
    for phrase in phrases:
        own = [choice for choice in CHOICES if phrase in choice["phrases"]]
        if not any(_is_told(choice, prompt) for choice in own) or any(_applies(choice, prompt) for choice in own):
            text = appended(text, phrase)
    return text


def as_the_program(prompts, seed):
    """Prompts as the program encodes them, with a seed of its own for each, from `seed` on."""
    return [encoded(prompt, choose(prompt, seed + i)) for i, prompt in enumerate(prompts)]
