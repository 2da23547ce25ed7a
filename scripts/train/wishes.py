"""Wishes and their timelines: what a newcomer types, and one prompt per state of the drawn world.

`sample` draws a wish, a length, and the lines `SECONDS: prompt` that tell it. A wish names some things (actor, colour,
landscape, what time and weather do) in many words; its lines keep these, in the wish's own words where the captions
know them, and what it leaves open is drawn. Every prompt is a sentence of the caption grammar.
"""

import json
import random
import re
import sys

import captions as c
from wish_courses import TIME_COURSES, WEATHER_COURSES, wished_course
from wish_words import (ACTOR_EXTRAS, ADVERBS, COLOR_EXTRAS, FRAMES, IMPLIED, KNOWN_SCENES, LENGTHS, LIKELY_ACTORS,
                        NOISE,
                        NOT_SHOWN, NUMBER_NOISE, OPENINGS, OTHER_COLORS, OTHER_THINGS, SCENE_EXTRAS,
                        STRANGE_SUBJECTS, SUBJECT_STARTS, TIME_OUT, TRIPS, WEATHER_OUT, by_rank,
                        most_lines, weighted)

TIMES = ["dawn", "day", "sunset", "night"]
WEATHERS = ["clear", "cloudy", "rain", "snow"]


class Story:
    """What is shown, in words of the captions; and what the wish tells of it."""

    def __init__(self, rng):
        self.rng = rng
        self.told = {}  # attribute -> value, for checks
        self.size = self.adverb = self.direction = self.style = None
        self.implied = self.time_word = self.strange = None

    def chance(self, p):
        return self.rng.random() < p

    def draw(self):
        r = self.rng
        tell_scene, tell_actor, tell_color = self.chance(0.72), self.chance(0.72), self.chance(0.62)
        self.scene = r.choice(KNOWN_SCENES)
        if not (tell_scene or tell_actor):
            self.scene = weighted(r, KNOWN_SCENES, [6, 4, 1, 2, 2, 3, 3, 1])
        if tell_actor and tell_scene and self.chance(0.06):
            self.actor = r.choice(list(c.ACTOR_NOUNS))  # in a landscape where none was drawn
        else:
            likely = LIKELY_ACTORS[self.scene]
            self.actor = r.choice(likely) if tell_actor else by_rank(r, list(dict.fromkeys(likely)))
        self.color = r.choice(list(c.COLOR_WORDS))
        if not (tell_actor and tell_color):
            self.color = weighted(r, list(c.COLOR_WORDS), [9, 1, 4, 1, 3, 1, 1, 2])
        self.scene_words, self.actor_word, self.color_word = self._scene(), self._noun(), self._color()
        if not tell_scene:  # invented things are plain ones
            pair = c.SCENE_NOUNS[self.scene][0]
            self.scene_words = pair, pair
        if not tell_actor:
            self.actor_word = (c.ACTOR_NOUNS[self.actor][0],) * 2
        if not tell_actor and self.chance(0.06):
            self.color = r.choice(list(c.COLOR_WORDS))
            self.color_word = self._color()
            self.told["color"] = self.color
        elif not (tell_actor and tell_color):
            self.color_word = self.color, self.color
        if tell_scene:
            self.told["scene"] = self.scene
        if tell_actor:
            self.told["actor"] = self.actor
            if self.chance(0.06):
                tell_color, self.implied = False, r.choice(IMPLIED[self.actor])
                self.actor_word = (c.ACTOR_NOUNS[self.actor][0],) * 2
                self.color_word = self.color, self.color
        if tell_actor and tell_color:
            self.told["color"] = self.color
        verbs = c.ACTOR_VERBS[self.actor]
        self.verb, self.verbing = by_rank(r, verbs[:3])
        self.verb = re.sub(r"^(is|goes) (\w+)ing$", lambda m: verbs[0][0], self.verb)
        kind = c.KIND[self.actor]
        on_water = kind == "water" or (self.scene == "sea" and kind != "air")
        prepositions = {"air": ["over", "above", "across"], "land": ["through", "across"], "water": ["on", "across"]}
        self.preposition = by_rank(r, prepositions["water" if on_water else kind])
        return self

    # Each: the words in the wish; those in the lines, where they differ.

    def _scene(self):
        if self.chance(0.22):
            wished = self.rng.choice(SCENE_EXTRAS[self.scene])
            return wished, c.SCENE_NOUNS[self.scene][0]
        pair = self.rng.choice(c.SCENE_NOUNS[self.scene])
        if self.chance(0.35):
            pair = c.SCENE_NOUNS[self.scene][0]
        return pair, pair

    def _noun(self):
        if self.chance(0.15):
            return self.rng.choice(ACTOR_EXTRAS[self.actor]), c.ACTOR_NOUNS[self.actor][0]
        noun = self.rng.choice(c.ACTOR_NOUNS[self.actor])
        return noun, noun

    def _color(self):
        if self.chance(0.08) and COLOR_EXTRAS.get(self.color):
            return self.rng.choice(COLOR_EXTRAS[self.color]), self.color
        word = self.color if self.chance(0.4) else self.rng.choice(c.COLOR_WORDS[self.color])
        word = word.replace("-", " ") if self.chance(0.5) else word
        return word, word

    # ---- words of the wish

    def wished_subject(self, article=True):
        """With article: "a little red balloon"; None where the wish names no actor."""
        if "actor" not in self.told:
            if "color" not in self.told:
                return self.strange
            return f"{self.rng.choice(['something', 'anything', 'a', 'some', 'one'])} {self.color_word[0]}" + (
                self.rng.choice([" thing", "", " object"]))
        noun, color = self.actor_word[0], self.color_word[0] if "color" in self.told else None
        if self.implied:
            return self.implied
        if self.time_word:
            noun = f"{self.time_word} {noun}"
        if self.chance(0.05):
            noun = f"{noun} {self.rng.choice(TRIPS)}"
        elif self.chance(0.10):
            noun = {"y": noun[:-1] + "ies"}.get(noun[-1], noun + "s") if not noun.endswith("s") else noun
            article = False
        size = self.size + " " if self.size else ""
        start = self.rng.choice(SUBJECT_STARTS) + " " if article else ""
        if not color:
            other = self.rng.choice(OTHER_COLORS) + " " if self.chance(0.04) else ""
            return f"{start}{size}{other}{noun}"
        form = self.rng.random()
        if form < 0.86:
            return f"{start}{size}{color} {noun}" if self.chance(0.8) else f"{start}{color} {size}{noun}"
        if form < 0.93:
            return f"{start}{size}{noun} in {color}"
        return f"{start}{size}{noun}, {self.rng.choice(['all', 'painted', '', 'a'])} {color}" + (
            " one" if self.chance(0.3) else "")

    def wished_place(self, preposition=True, adjective=""):
        if "scene" not in self.told:
            return None
        article, noun = self.scene_words[0]
        words = [w for w in (article, adjective, noun) if w]
        if preposition:
            if self.chance(0.5):
                words.insert(0, self.rng.choice(["at", "in", "by", "on", "near", "around", "along", "through", "over"]))
            else:
                words.insert(0, self.rng.choice(c.PREPOSITIONS[c.KIND[self.actor]]))
        return " ".join(words)

    def free_caption(self):
        """Thing and landscape in a sentence of the captions, whose words the lines adopt."""
        r, told = self.rng, self.told
        labels = (told.get("scene"), None, None, self.actor, told.get("color"), self.direction)
        sentence = c._Sentence(labels, r)
        text = r.choice([c._plain, c._plain, c._fronted, c._noun_phrase, c._opened, c._there, c._sentences,
                         c._scene_first])(sentence)
        found = words_of(text)
        if found.get("color", ("", ""))[0] == self.color:
            self.color_word = found["color"]
        elif "color" in told:
            self.color_word = self.color, self.color
        self.actor_word = (c.ACTOR_NOUNS[self.actor][0],) * 2
        if found.get("actor", ("", ""))[0] == self.actor:
            self.actor_word = (found["actor"][1],) * 2
        if "scene" in told:
            pair = c.SCENE_NOUNS[self.scene][0]
            if found.get("scene", ("", ""))[0] == self.scene:
                pair = next(p for p in c.SCENE_NOUNS[self.scene] if p[1].lower() == found["scene"][1])
            self.scene_words = pair, pair
        self.color_word = (None, self.color_word[1])
        if sentence.verb in [v for v, _ in c.ACTOR_VERBS[self.actor]]:
            self.verb = sentence.verb
        words = set(re.findall(r"[a-z]+", text))
        self.size = next((w for w in c.SIZE_WORDS if w in words), None)
        self.adverb = next((w for w in ADVERBS if w in words), self.adverb)
        return c._tidy(text)

    # ---- lines

    def prompt(self, state, form, words):
        """The prompt of one state. words: those drawn for times and weathers that the wish leaves open."""
        time, weather, change = state["time"], state["weather"], state.get("change", {})
        when = state.get("time_words") or words["time"][time]
        sky = state.get("weather_words") or words["weather"][weather]
        if not state.get("time_words") and not state.get("weather_words"):
            sky = words["both"].get((time, weather), sky)
        color = change.get("color", self.color_word[1])
        noun = change.get("noun", self.actor_word[1])
        article, place = change.get("scene_words", self.scene_words[1])
        size = self.size + " " if self.size else ""
        thing = f"{size}{color} {noun}"
        subject = f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"
        verb, preposition = change.get("verb", self.verb), change.get("preposition", self.preposition)
        motion = " ".join(w for w in (verb, self.adverb, self.direction and f"to the {self.direction}") if w)
        where = " ".join(w for w in (preposition, article, place) if w)
        if form == "plain":
            text = f"{subject} {motion} {where} {when}, {sky}"
        elif form == "fronted":
            text = f"{when}, {subject} {motion} {where} {sky}"
        else:
            text = f"{subject} {motion} {where} {sky}, {when}"
        text = text[:1].upper() + text[1:]
        return f"{text}, {self.style}." if self.style else f"{text}."


def words_of(text):
    """attribute -> (value, word of the captions) of the things that a text names."""
    from story_judge import named

    return named(text)


def _opened(rng, text):
    opening = rng.choice(OPENINGS if rng.random() < 0.6 else FRAMES)
    return opening.replace("*", text) if "*" in opening else f"{opening} {text}"


def _strewn(rng, text, unknown):
    """With words that the world does not know, or that say nothing."""
    if rng.random() < 0.10:
        phrase = rng.choice(c.CHATTER)
        text = rng.choice([f"{phrase}, {text}", f"{text}, {phrase}", f"{text}. {phrase}", f"{text} {phrase}"])
    for _ in range(rng.choice([1, 2, 3]) if rng.random() < 0.05 else 0):
        text = rng.choice([f"{rng.choice(c.CHATTER)}. {text}", f"{text}. {rng.choice(c.CHATTER)}"])
    if unknown and rng.random() < 0.08:
        thing = rng.choice(OTHER_THINGS) if rng.random() < 0.85 else "".join(
            rng.choice("bcdfghjklmnpqrstvwxyz") + rng.choice("aeiou") for _ in range(rng.randint(2, 4)))
        phrase = rng.choice(NOISE).replace("*", thing)
        text = rng.choice([f"{text} {phrase}", f"{text}, {phrase}", f"{phrase}, {text}"])
    elif unknown and rng.random() < 0.06:
        words = text.split(" ")
        for _ in range(rng.choice([1, 1, 2, 3, 4])):
            words.insert(rng.randrange(len(words) + 1), rng.choice(c.NEUTRAL_WORDS))
        text = " ".join(words)
    return text


def _typed(rng, text):
    """As people type: case, full stops, errors."""
    text = c._tidy(text)
    if rng.random() < 0.06:
        text = re.sub(r"\b(a|an|the) ", "", text)
    for _ in range(3):
        if rng.random() < 0.05:
            text = c._misspell(text, rng)
    if rng.random() < 0.20:
        text = " ".join(re.sub(r"[^\w\s:-]", "", text).split())
    case = rng.random()
    if case < 0.35:
        text = text[:1].upper() + text[1:]
        if not text.endswith((".", "!")):
            text += rng.choice([".", ".", "", "", "!", "..."])
    elif case < 0.80:
        text = text.lower()
    elif case < 0.83:
        text = text.upper()
    elif case < 0.86:
        text = text.title()
    return text.strip()


# Between the thing and the first phrase of what time and weather do, by that phrase's form.
LINKS = {
    None: [" ", " ", ", ", ", ", ". ", " - ", ": ", "; ", " and ", " while ", " as ", ", where "],
    "noun": [", ", ", ", ", ", ". ", ": ", " - ", "; ", " with ", ", with ", " and ", " in ", ", first ", " / ", " + ",
             " from ", " "],
    "adverb": [" ", " ", " ", " ", ", ", ", ", ". ", " - ", "; ", ", first "],
    "clause": [", ", ", ", ". ", ". ", " and ", " while ", " when ", " as ", ", where ", "; ", " - ", ": ", ", first ",
               " until ", ", and "],
}


def _arranged(story, course):
    """The parts of a wish in one of many orders. course: phrases of what time and weather do, perhaps none."""
    r = story.rng
    adjective = course.adjective
    subject, place = story.wished_subject(), story.wished_place(adjective=adjective or "")
    motion = " ".join(w for w in (story.adverb if story.adverb_told else None,
                                  story.direction and r.choice(c.DIRECTION_WORDS[story.direction])) if w)
    phrases = course.phrases
    if not adjective and phrases and r.random() < 0.10:  # fragments
        parts = [p for p in (subject, story.wished_place(preposition=r.random() < 0.3), *phrases) if p]
        r.shuffle(parts)
        return r.choice([", ", ", ", ". ", " ", " / ", " + ", "; ", " - "]).join(parts)
    if "actor" in story.told and not story.implied and not story.time_word and r.random() < 0.3:
        thing = story.free_caption()
        subject = None  # it is told
        place = place and thing
    elif "actor" in story.told and not story.implied and r.random() < 0.6:
        verbs = r.choice(c.ACTOR_VERBS[story.actor])
        story.verb, verb = verbs[0], verbs[r.randrange(2)]
        thing = " ".join(w for w in (subject, verb, motion, place) if w)
        if place and r.random() < 0.08:
            thing = f"{place} {subject} {verb}"
    elif story.strange and r.random() < 0.5:
        thing = " ".join(w for w in (subject, r.choice(["flies", "moves", "goes", "lives", "is", "travels", "sleeps"]),
                                     place) if w)
    elif subject:
        thing = " ".join(w for w in r.choice([(subject, motion, place), (place, "with", subject, motion),
                                              (place and place + ",", subject, motion),
                                              (subject, motion, place and "," + " " + place)]) if w)
        thing = re.sub(r"^with ", "", thing)
    else:
        thing = place or ""
    if adjective and (not place or place == thing):
        thing = f"{thing}, {adjective}"
    if not phrases:
        return thing or r.choice(["something", "a surprise", "anything", "surprise me", "whatever you like"])
    link = r.choice(LINKS[course.form])
    told = phrases[0]
    for phrase in phrases[1:]:
        told += r.choice([", ", " and ", " ", ", "]) + phrase
    if not thing:
        return told
    if course.noun and r.random() < 0.55 and (subject or place != thing):  # "a day at the sea with a red boat"
        if subject and place:
            return r.choice([f"{told} {place} with {subject}", f"{told} {place}, {subject}",
                             f"{told} with {subject} {place}",
                             f"{told} of {subject} {place}", f"{subject}: {told} {place}",
                             f"{told} for {subject} {place}",
                             f"{place}, {told}, {subject}"])
        if place:
            return f"{told} {place}"
        return r.choice([f"{told} with {subject}", f"{told} of {subject}", f"{told} in the life of {subject}",
                         f"{subject}: {told}", f"{told} for {subject}", f"{told}, {subject}"])
    return r.choice([f"{thing}{link}{told}", f"{thing}{link}{told}", f"{told}{link}{thing}"])


def sample(rng, unknown=True, typed=True):
    """Returns (wish, seconds, lines, facts). seconds is one of LENGTHS. facts: what the wish tells: scene, actor,
    color where told; times and weathers, one per line, where told.
    unknown, typed: may there be words of other things, and typing errors?"""
    story = Story(rng).draw()
    r = rng
    if r.random() < 0.14:
        story.size = r.choice(c.SIZE_WORDS)
    if r.random() < 0.10:
        story.direction = r.choice(["left", "right"])
    if r.random() < 0.08:
        story.adverb = r.choice(ADVERBS)
    story.adverb_told = story.adverb is not None
    if r.random() < 0.07:
        story.style = r.choice(c.STYLES)
    if "actor" not in story.told:
        story.size = story.direction = story.adverb = None
        story.adverb_told = False
        if unknown and "color" not in story.told and r.random() < 0.10:
            story.strange = r.choice(STRANGE_SUBJECTS).replace("*", r.choice(OTHER_THINGS))
    seconds = r.choice(LENGTHS)
    course = wished_course(rng, story, most_lines(seconds), seconds)
    wish = _arranged(story, course)
    if r.random() < 0.24:
        wish = _opened(r, wish)
    if story.style:
        wish = r.choice([f"{wish}, {story.style}", f"{wish} {story.style}", f"{story.style}, {wish}",
                         f"{wish}. {story.style}"])
    wish = _strewn(r, wish, unknown)
    if r.random() < 0.03:
        wish = r.choice(NUMBER_NOISE).replace("*", wish)
    wish = _typed(r, wish) if typed else c._tidy(wish)
    states = course.states
    words = dict(time={t: by_rank(r, TIME_OUT[t]) for t in TIMES},
                 weather={w: by_rank(r, WEATHER_OUT[w]) for w in WEATHERS},
                 both={})
    if r.random() < 0.8:
        words["both"] = {("day", "clear"): "on a sunny day", ("night", "clear"): "under a starry sky"}
    form = weighted(r, ["plain", "fronted", "swapped"], [8, 1, 1])
    starts = course.starts or [round(i * seconds / len(states)) for i in range(len(states))]
    lines = [f"{start}: {story.prompt(state, form, words)}" for start, state in zip(starts, states)]
    facts = dict(story.told)
    if course.told_times:
        facts["times"] = [s["time"] for s in states]
    if course.told_weathers:
        facts["weathers"] = [s["weather"] for s in states]
    return wish, seconds, lines, facts


def known_words(samples=60000):
    """The words that wishes of the rules are made of: those that mean something, and those that say nothing."""
    rng = random.Random(5)
    words = set(c.NEUTRAL_WORDS)
    for _ in range(samples):
        words.update(re.findall(r"[a-z]+", sample(rng, unknown=False, typed=False)[0].lower()))
    return sorted(word for word in words - set(NOT_SHOWN) if len(word) > 1)


if __name__ == "__main__":  # python3 wishes.py FILE: writes what the program needs to know of these rules
    with open(sys.argv[1], "w") as file:
        json.dump(dict(seconds=LENGTHS, words=known_words()), file, separators=(",", ":"))
        file.write("\n")
