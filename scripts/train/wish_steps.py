"""Wishes that tell a course step by step: states and changes of time and weather, each in one of many phrasings.

A step names a time of day, a weather, or both; what it leaves open stays as it was. People mix forms: "foggy morning,
then the sun comes out, at the end it is night".
"""

import re

from wish_courses import DAY, Course
from wish_words import weighted

# Times of day: nouns, adverbials, clauses that say that it is so, clauses that say that it becomes so.
TIME_NOUNS = {
    "dawn": ["dawn", "sunrise", "morning", "daybreak", "the morning", "early morning", "the first light",
             "a new morning",
             "the sunrise", "a beautiful sunrise", "the break of day", "breakfast time", "morning light", "a red dawn",
             "the early hours", "six in the morning", "6 am", "a fresh morning", "first sunbeams", "the rising sun",
             "morning sun", "morning mood"],
    "day": ["day", "noon", "midday", "the day", "afternoon", "daylight", "the afternoon", "high noon", "daytime",
            "broad daylight", "lunchtime", "a bright day", "late afternoon", "12 o'clock", "the middle of the day",
            "full daylight", "early afternoon", "the hot midday", "the bright day"],
    "sunset": ["sunset", "evening", "dusk", "the evening", "twilight", "sundown", "the sunset", "a red sunset",
               "the golden hour", "a golden evening", "evening light", "late evening", "early evening", "evening glow",
               "a red evening sky", "the setting sun", "the end of the day", "dinner time", "a glowing sunset",
               "an orange sky", "the last light"],
    "night": ["night", "midnight", "the night", "darkness", "a dark night", "deep night", "nighttime", "late night",
              "the middle of the night", "moonlight", "a starry sky", "stars", "the stars", "a moonlit night",
              "the moon", "moon and stars", "the dark", "bedtime", "a long night", "a night sky", "a quiet night",
              "a full moon"],
}
TIME_ADVERBS = {
    "dawn": ["in the morning", "at dawn", "at sunrise", "early in the morning", "at daybreak", "at first light",
             "in the early morning", "when the sun comes up", "as the sun rises", "when the day begins",
             "before breakfast", "in the morning light", "in the morning sun", "at sunup", "when morning comes",
             "when everybody wakes up", "as day breaks", "while the sun rises", "at six in the morning",
             "with the rising sun", "at the start of the day"],
    "day": ["at noon", "in the afternoon", "during the day", "by day", "at midday", "in the daytime", "around noon",
            "in broad daylight", "at lunchtime", "in the middle of the day", "when the sun is high", "at high noon",
            "late in the afternoon", "in daylight", "by daylight", "over midday"],
    "sunset": ["in the evening", "at sunset", "at dusk", "at sundown", "in the late evening", "at twilight",
               "as the sun sets", "when the sun goes down", "towards evening", "at the end of the day",
               "in the golden hour", "in the evening sun", "as evening falls", "while the sun sets", "after work",
               "into the sunset", "against the setting sun", "when the sun is low", "under an evening sky",
               "by evening", "before dark", "at nightfall"],
    "night": ["at night", "at midnight", "in the dark", "late at night", "in the night", "after dark", "by night",
              "under the stars", "by moonlight", "in the moonlight", "in the middle of the night", "through the night",
              "when it is dark", "under the moon", "during the night", "under a starry sky", "when the stars are out",
              "when everyone is asleep", "in the dead of night", "under a full moon", "deep in the night",
              "by the light of the moon"],
}
TIME_IS = {
    "dawn": ["it is morning", "it is early", "the day begins", "a new day begins", "the sun is rising", "it is dawn",
             "the sun is just coming up", "everything wakes up", "the world wakes up", "the sky turns pink",
             "the morning is here"],
    "day": ["it is day", "it is noon", "the sun is high in the sky", "it is midday", "it is light", "it is afternoon",
            "it is bright outside", "it is daytime"],
    "sunset": ["it is evening", "the sun is setting", "the sky is red", "the sky glows", "the sun is going down",
               "the sky turns orange", "the sun is low", "the sky turns red", "the day is nearly over",
               "the sky is on fire", "the light turns golden", "the day ends", "the sun is sinking"],
    "night": ["it is night", "it is dark", "the stars are out", "the moon is shining", "the moon is up",
              "stars are twinkling", "you can see the stars", "everything is dark", "everybody sleeps",
              "the city lights are on", "the stars shine", "the moon shines", "the lamps are on"],
}
TIME_BECOMES = {
    "dawn": ["the sun rises", "the sun comes up", "morning comes", "it gets light", "day breaks", "it becomes morning",
             "the morning comes", "the day begins", "a new day starts", "the night ends", "the night is over",
             "it gets light again", "dawn breaks", "the sun appears", "the darkness goes away", "it dawns",
             "the first light appears", "it slowly gets light", "the sun rises again", "sunrise comes",
             "the new day comes", "the stars fade", "it gets brighter"],
    "day": ["the day comes", "it becomes day", "it turns to day", "it gets bright", "noon comes", "it gets to noon",
            "the sun climbs high", "the sun climbs", "it becomes noon", "afternoon comes", "the day gets bright",
            "it is full day", "day comes", "the sun gets high"],
    "sunset": ["the sun sets", "the sun goes down", "evening comes", "it becomes evening", "evening falls",
               "dusk falls", "the evening comes", "it turns to evening", "the sun slowly sets", "dusk comes",
               "the day ends", "the sun sinks", "the sun begins to set", "the sun disappears behind the horizon",
               "sunset comes", "the day draws to an end", "the light fades", "twilight falls"],
    "night": ["night falls", "it gets dark", "night comes", "it becomes night", "it turns dark", "the stars come out",
              "darkness falls", "the moon rises", "the night comes", "it grows dark", "it is getting dark",
              "the moon comes out", "the lights go on", "the moon comes up", "the stars appear", "it slowly gets dark",
              "the day turns into night", "it gets late", "the street lamps go on", "it gets darker and darker",
              "darkness comes", "the night begins", "everything goes dark", "the sky fills with stars"],
}
# Weathers likewise, each with the words of the line (None: any).
WEATHER_NOUNS = {
    "clear": ["sun", "sunshine", "a clear sky", "blue sky", "fine weather", "good weather", "clear skies", "blue skies",
              "nice weather", "no clouds", "bright sun", "the sun", "sunny weather", "a blue sky", "beautiful weather",
              "lovely weather", "calm weather", "bright sunshine", "dry weather", "lots of sun", "warm sun", "a calm",
              "perfect weather", "summer weather", "not a cloud", "great weather", "a cloudless sky"],
    "cloudy": ["clouds", "fog", "mist", "a grey sky", "a cloudy sky", "grey clouds", "dark clouds", "overcast weather",
               "cloudy weather", "an overcast sky", "thick fog", "haze", "a few clouds", "heavy clouds", "dull weather",
               "big clouds", "a gray sky", "thick clouds", "grey weather", "gloomy weather", "lots of clouds",
               "white clouds"],
    "rain": ["rain", "heavy rain", "a storm", "a thunderstorm", "a shower", "drizzle", "a downpour", "pouring rain",
             "bad weather", "thunder", "lightning", "a big storm", "rainy weather", "a rainstorm", "storm",
             "a rain shower", "stormy weather", "wind and rain", "strong rain", "light rain", "some rain",
             "a violent storm", "a little rain", "thunder and lightning", "a hurricane", "a tempest", "showers",
             "horrible weather", "a cloudburst", "wet weather", "a summer storm", "soft rain", "terrible weather"],
    "snow": ["snow", "heavy snow", "a snowstorm", "a blizzard", "snowfall", "snowflakes", "winter weather",
             "fresh snow",
             "light snow", "some snow", "winter", "snowy weather", "ice and snow", "a lot of snow", "frost",
             "a little snow", "deep snow", "falling snow", "first snow", "a snow shower", "thick snow",
             "a white winter"],
}
WEATHER_ADVERBS = {
    "clear": ["in the sun", "in the sunshine", "under a clear sky", "under a blue sky", "in fine weather",
              "in good weather", "under blue skies", "in nice weather", "with no clouds", "in bright sunshine",
              "without clouds", "in beautiful weather", "under the sun", "in the warm sun", "in calm weather",
              "with clear skies", "when the weather is nice", "in summer", "on a nice day", "without any rain"],
    "cloudy": ["under clouds", "in fog", "in the fog", "under a cloudy sky", "under a grey sky", "in the mist",
               "with lots of clouds", "in thick fog", "with clouds", "in cloudy weather", "in dull weather",
               "under dark clouds", "under heavy clouds", "through the fog", "under an overcast sky", "in autumn",
               "in the clouds", "when it is cloudy", "in the haze"],
    "rain": ["in the rain", "in heavy rain", "in a storm", "in pouring rain", "during a storm", "in a thunderstorm",
             "in bad weather", "through the rain", "while it rains", "in stormy weather", "with rain", "with thunder",
             "during a thunderstorm", "in the drizzle", "in a downpour", "caught in the rain", "in wet weather",
             "when it rains", "with lots of rain", "in a big storm", "with heavy rain", "in wind and rain"],
    "snow": ["in the snow", "in heavy snow", "in a snowstorm", "in winter", "while it snows", "in a blizzard",
             "in falling snow", "through the snow", "with snow", "with lots of snow", "when it snows", "in deep snow",
             "in a winter storm", "among snowflakes", "in the cold winter", "in the middle of winter"],
}
WEATHER_IS = {
    "clear": ["the sun shines", "the sun is shining", "it is sunny", "the sky is blue", "the sky is clear",
              "it is clear", "the weather is nice", "the weather is good", "it is dry", "everything is calm",
              "there are no clouds", "it is calm", "it is a nice day", "the weather is beautiful", "it is warm and dry",
              "it is fine", "the sky is bright"],
    "cloudy": ["it is cloudy", "it is foggy", "the sky is grey", "the sky is full of clouds", "it is misty",
               "there are clouds", "clouds pass", "clouds drift by", "it is overcast", "it is grey", "the fog is thick",
               "dark clouds hang in the sky", "clouds hide the sun", "everything is grey", "the sky is dark grey"],
    "rain": ["it rains", "it is raining", "it is pouring", "it is stormy", "rain falls", "rain is falling",
             "a storm rages", "it rains hard", "it rains heavily", "it drizzles", "there is a storm",
             "there is thunder and lightning", "it is wet", "there is rain", "it rains cats and dogs",
             "it rains a little", "it rains a lot", "thunder rolls", "lightning strikes", "it rains all the time",
             "the rain pours down", "the weather is bad"],
    "snow": ["it snows", "it is snowing", "snow falls", "snow is falling", "it is winter", "it snows heavily",
             "snowflakes are falling", "everything is white", "there is snow", "a blizzard rages", "it snows a lot",
             "snow covers everything", "snowflakes dance", "it snows a little", "everything is covered in snow"],
}
WEATHER_BECOMES = {
    "clear": ["the sun comes out", "it clears up", "the sky clears", "the weather gets better", "the sun is back",
              "it gets sunny", "the sun returns", "the clouds go away", "it becomes sunny", "the sky clears up",
              "it turns sunny", "the sun breaks through", "the weather improves", "it calms down", "it gets nice again",
              "the sun comes back", "the sky turns blue", "the sun shines again", "everything is calm again",
              "the sky gets clear", "the clouds vanish", "the sun appears again", "it gets better", "it dries up"],
    "cloudy": ["clouds come", "clouds come up", "it gets cloudy", "fog comes in", "the fog comes", "clouds gather",
               "it gets foggy", "the sky turns grey", "it clouds over", "dark clouds appear", "it becomes cloudy",
               "clouds move in", "the sun disappears behind clouds", "the sky gets grey", "clouds cover the sun",
               "mist rises", "it turns cloudy", "fog rolls in", "the clouds get thicker", "more and more clouds come"],
    "rain": ["it starts to rain", "it begins to rain", "it starts raining", "rain comes", "a storm comes",
             "a storm breaks out", "the rain starts", "the rain begins", "a storm comes up", "it begins to pour",
             "a thunderstorm starts", "the storm hits", "rain sets in", "it turns stormy", "it gets stormy",
             "it gets rainy", "the weather gets bad", "the weather turns bad", "a storm rolls in", "the storm comes",
             "the storm breaks loose", "the first drops fall", "it starts to pour", "a shower comes down",
             "it gets wet", "it starts to drizzle", "the rain comes", "thunder starts", "the weather gets worse",
             "a storm arrives", "a thunderstorm comes", "it becomes rainy", "heavy rain starts"],
    "snow": ["it starts to snow", "it begins to snow", "it starts snowing", "snow comes", "the snow comes",
             "snow starts to fall", "winter comes", "a snowstorm starts", "the first snow falls", "it turns to snow",
             "the snow begins", "a blizzard comes", "snowflakes begin to fall", "it gets cold and snows",
             "a snowstorm comes up", "winter arrives", "it turns white", "it begins snowing", "the first flakes fall",
             "the rain turns to snow", "everything gets covered with snow"],
}
# Clauses that say what ends: the weather before is theirs.
WEATHER_ENDS = {
    "rain": ["the rain stops", "it stops raining", "the storm passes", "the storm ends", "the storm is over",
             "the rain is over", "the rain ends", "the storm goes away", "the storm dies down", "the rain goes away",
             "the storm calms down", "the thunderstorm is over", "the rain lets up", "the bad weather ends",
             "the shower ends", "after the rain the sun shines", "after the storm it is calm"],
    "snow": ["the snow stops", "it stops snowing", "the snow melts", "spring comes", "the snow is gone", "winter ends",
             "the snowstorm ends", "the blizzard is over", "the snow goes away", "the ice melts", "winter is over",
             "the thaw sets in", "after the snow the sun comes out"],
    "cloudy": ["the fog lifts", "the clouds go away", "the fog clears", "the clouds part", "the mist clears",
               "the fog goes away", "the clouds break up", "the fog is gone", "the sun breaks through the clouds",
               "the clouds are gone", "the sun burns away the fog", "the mist lifts", "the sky opens up"],
}
ADJECTIVES = {"clear": ["sunny", "clear", "bright", "fine", "beautiful", "dry", "calm", "cloudless", "blue", "warm"],
              "cloudy": ["cloudy", "grey", "foggy", "misty", "overcast", "gray", "hazy", "gloomy", "dull"],
              "rain": ["rainy", "stormy", "wet", "rainy", "thundery"],
              "snow": ["snowy", "wintry", "white", "icy", "snowy", "frosty", "winter"]}
ADJECTIVES_AT_NIGHT = ["starry", "clear", "moonlit", "starlit", "cloudless", "calm"]
PLAIN_TIMES = {"dawn": ["morning", "morning", "dawn", "sunrise", "daybreak"],
               "day": ["day", "day", "afternoon", "noon", "midday"],
               "sunset": ["evening", "evening", "sunset", "dusk", "sundown"],
               "night": ["night", "night", "night", "midnight"]}
# Words of the line, by what the wish says.
LINE_TIMES = [("midnight", "at midnight"), ("sunrise|sun rise|sun comes up|rising sun|sun is rising|sunup",
                                            "at sunrise"),
              ("daybreak|day breaks|break of day|dawn breaks", "at daybreak"), ("first light", "at first light"),
              ("early", "in the early morning"), ("dawn", "at dawn"), ("morning", "in the morning"),
              ("afternoon", "in the afternoon"), ("noon", "at noon"), ("midday", "at midday"),
              ("broad daylight", "in broad daylight"), ("sunset|sun set|setting", "at sunset"), ("sundown",
                                                                                                 "at sundown"),
              ("dusk", "at dusk"), ("twilight", "at twilight"), ("golden", "in the golden hour"),
              ("evening", "in the evening"), ("late", "late at night")]
TIMES_OF_WORDS = {"at midnight": "night", "at sunrise": "dawn", "at daybreak": "dawn", "at first light": "dawn",
                  "in the early morning": "dawn", "at dawn": "dawn", "in the morning": "dawn",
                  "in the afternoon": "day", "at noon": "day", "at midday": "day", "in broad daylight": "day",
                  "at sunset": "sunset", "at sundown": "sunset", "at dusk": "sunset", "at twilight": "sunset",
                  "in the golden hour": "sunset", "in the evening": "sunset", "late at night": "night"}
LINE_SKIES = {"rain": [("thunder", "during a thunderstorm"), ("storm|hurricane|tempest", "in a storm"),
                       ("drizzl", "in the drizzle"), ("downpour|cloudburst", "in a downpour"),
                       ("shower", "during a shower"), ("heavy|hard|heavily|strong", "in heavy rain"),
                       ("pour", "in pouring rain")],
              "snow": [("blizzard", "in a blizzard"), ("snowstorm", "in a snowstorm"), ("flake", "among snowflakes"),
                       ("winter", "in the winter snow")],
              "cloudy": [("fog", "in fog"), ("mist", "in the mist"), ("overcast", "under an overcast sky"),
                         ("grey|gray", "under a grey sky")],
              "clear": []}

THEN = [", then ", ", then ", " and then ", ", ", ", ", " then ", ". Then ", ". ", "; ", ", later ", " and later ",
        ", after that ", " and after that ", ", and then ", ", afterwards ", " - ", "... ", ", suddenly ", " but then ",
        ", next ", ", soon ", ", a bit later ", ", then slowly ", ", followed by ", " -> ", " / ", ", after a while ",
        " and afterwards ", ", and after a while "]
LAST = [", finally ", " and finally ", ", at the end ", " and at the end ", ", in the end ", " and in the end ",
        ", at last ", " and at last ", " and ", ", and ", " until ", ", until ", ", ending with ", " before "]
FIRST = ["first ", "at first ", "first of all ", "in the beginning ", "it starts with ", "it begins with ",
         "to begin with ", "start with ", "starting with ", "at the beginning ", "beginning with ",
         "in the beginning, "]


def line_time(text, time):
    """Words of the line for a phrase that says `time`, or None."""
    for pattern, words in LINE_TIMES:
        if TIMES_OF_WORDS[words] == time and re.search(rf"\b({pattern})", text):
            return words
    return None


def line_sky(text, weather):
    return next((words for pattern, words in LINE_SKIES[weather] if re.search(pattern, text)), None)


def _time_phrase(rng, time, changed):
    """(phrase, form)"""
    form = weighted(rng, ["noun", "adverb", "is", "becomes"], [4, 2, 1, 4 if changed else 0])
    table = dict(noun=TIME_NOUNS, adverb=TIME_ADVERBS, **{"is": TIME_IS}, becomes=TIME_BECOMES)[form]
    return rng.choice(table[time]), form


def _weather_phrase(rng, weather, before):
    """before: the weather before, where it is another one that was told; else None."""
    ends = weather == "clear" and before in WEATHER_ENDS
    form = weighted(rng, ["noun", "adverb", "is", "becomes", "ends"], [4, 2, 2, 4 if before else 0, 3 if ends else 0])
    if form == "ends":
        return rng.choice(WEATHER_ENDS[before]), form
    table = dict(noun=WEATHER_NOUNS, adverb=WEATHER_ADVERBS, **{"is": WEATHER_IS}, becomes=WEATHER_BECOMES)[form]
    phrase = rng.choice(table[weather])
    if weather == "snow" and before != "rain" and phrase == "the rain turns to snow":
        phrase = "it turns to snow"
    if form == "noun" and rng.random() < 0.05:
        phrase = rng.choice(["more ", "lots of ", "a bit of ", "some ", "nothing but "]) + phrase.removeprefix("a ")
    if before and form in ("is", "noun") and rng.random() < 0.06:
        phrase += " again"
    return phrase, form


def _both_phrase(rng, time, weather, before):
    """A time of day and its weather in one phrase."""
    kind = rng.random()
    if kind < 0.42:
        adjective = rng.choice(ADJECTIVES_AT_NIGHT if (time, weather) == ("night", "clear") else ADJECTIVES[weather])
        if rng.random() < 0.06:
            adjective = rng.choice(["long ", "cold ", "quiet ", "very ", "lovely "]) + adjective
        article = weighted(rng, ["a ", "", "the "], [5, 5, 2])
        article = "an " if article == "a " and adjective[0] in "aeiou" else article
        return f"{article}{adjective} {rng.choice(PLAIN_TIMES[time])}", "noun"
    if kind < 0.62:
        return f"{rng.choice(WEATHER_NOUNS[weather])} {rng.choice(TIME_ADVERBS[time])}", "noun"
    adverb = rng.choice(TIME_ADVERBS[time])
    clause = rng.choice((WEATHER_BECOMES if before and rng.random() < 0.6 else WEATHER_IS)[weather])
    if kind < 0.74:
        return f"{clause} {adverb}", "is"
    if kind < 0.84:
        return rng.choice([f"{adverb} {clause}", f"{adverb}, {clause}"]), "is"
    if kind < 0.92:
        noun = rng.choice(WEATHER_NOUNS[weather])
        return rng.choice([f"{adverb} {noun}", f"{adverb} there is {noun}", f"{adverb}: {noun}",
                           f"{rng.choice(PLAIN_TIMES[time])}: {noun}", f"{rng.choice(TIME_NOUNS[time])} with {noun}",
                           f"{noun} and {rng.choice(PLAIN_TIMES[time])}"]), "noun"
    return f"{rng.choice(TIME_NOUNS[time])} {rng.choice(WEATHER_ADVERBS[weather])}", "noun"


def _clean_line_words(state, text):
    if "time" in state:
        state["time_words"] = line_time(text, state["time"])
    if "weather" in state:
        state["weather_words"] = line_sky(text, state["weather"])


def _next_time(rng, time):
    step = weighted(rng, [1, 2, 3], [8, 2, 1])
    return DAY[(DAY.index(time) + step) % 4]


def _next_weather(rng, weather):
    likely = {"clear": ["rain", "rain", "cloudy", "cloudy", "snow"], "cloudy": ["clear", "rain", "snow", "clear",
                                                                                "rain"],
              "rain": ["clear", "clear", "clear", "cloudy", "snow"], "snow": ["clear", "clear", "cloudy", "rain"]}
    return rng.choice(likely[weather])


def stepwise_course(rng, most):
    """A course of up to `most` steps."""
    kind = weighted(rng, ["weather", "time", "mixed"], [4, 3, 5])
    n = min(most, weighted(rng, [1, 2, 3, 4], [1, 6, 4, 2]))
    time = rng.choice(DAY)
    weather = weighted(rng, ["clear", "cloudy", "rain", "snow"], [4, 2, 3, 2])
    states, texts, forms = [], [], []
    told_before = dict(time=None, weather=None)
    for i in range(n):
        if i > 0:
            if kind == "time" or (kind == "mixed" and (mode := rng.random()) < 0.65):
                time = _next_time(rng, time)
            if kind == "weather" or (kind == "mixed" and mode > 0.30):
                weather = _next_weather(rng, weather)
        old = states[-1] if states else {}
        says_time = kind == "time" or (kind == "mixed" and (old.get("time") != time if old else rng.random() < 0.6))
        says_weather = kind == "weather" or (
            kind == "mixed" and (old.get("weather") != weather if old else rng.random() < 0.75 or not says_time))
        changed = bool(old) and told_before["time"] is not None
        before = told_before["weather"] if old else None
        if says_time and says_weather:
            text, form = _both_phrase(rng, time, weather, before)
        elif says_time:
            text, form = _time_phrase(rng, time, changed or bool(old))
        else:
            text, form = _weather_phrase(rng, weather, before or ("" if not old else None))
        state = dict(time=time, weather=weather) if kind == "mixed" else (
            dict(time=time) if kind == "time" else dict(weather=weather))
        named = dict(state)
        _clean_line_words(named, text)
        for key, says in (("time", says_time), ("weather", says_weather)):
            if key in state:
                words = named[f"{key}_words"] if says else old.get(f"{key}_words")
                if words:
                    state[f"{key}_words"] = words
                if says:
                    told_before[key] = state[key]
        states.append(state)
        texts.append(text)
        forms.append((form, says_time, says_weather))
    told = texts[0]
    plain = [", ", " ", " and ", " / ", " -> ", "; ", " + ", ". "]
    one_link = rng.choice(plain) if rng.random() < 0.2 else None
    if n > 1 and rng.random() < 0.2:
        told = rng.choice(FIRST) + told
    for i, text in enumerate(texts[1:], 1):
        link = one_link or rng.choice(LAST if i == n - 1 and rng.random() < 0.4 else THEN)
        if link in (" until ", ", until ") and forms[i][0] not in ("becomes", "ends", "noun"):
            link = ", then "
        if "followed by" in link and forms[i][0] != "noun":
            link = ", then "
        told += link + text
    told_times = any(f[1] for f in forms)
    told_weathers = any(f[2] for f in forms)
    if kind == "mixed":
        # What was not told before a step is free at the beginning: it is as it was told first.
        for key, index in (("time", 1), ("weather", 2)):
            first = next((i for i, f in enumerate(forms) if f[index]), None)
            if first:
                for state in states[:first]:
                    state[key] = _before(rng, key, states[first][key], state[key])
                    state.pop(f"{key}_words", None)
    course = Course(states, [told], told_times=told_times, told_weathers=told_weathers)
    course.noun = n == 1 and forms[0][0] == "noun"
    course.form = forms[0][0] if forms[0][0] in ("noun", "adverb") else "clause"
    return course


def _before(rng, key, value, drawn):
    """The value before the first told one: another."""
    return drawn if drawn != value else (DAY[(DAY.index(value) - 1) % 4] if key == "time" else (
        "clear" if value != "clear" else "cloudy"))


# "10 seconds of sun, then rain": durations.
LASTING = ["{n} seconds of {a}, then {b}", "{n} seconds {a}, then {b}", "{n} s {a} and then {b}",
           "{n} seconds of {a}, then {m} seconds of {b}", "{n} sec {a}, {m} sec {b}", "{a} for {n} seconds, then {b}",
           "{a} for {n} seconds and then {b}", "{a} during the first {n} seconds, {b} after that",
           "the first {n} seconds {a}, the rest {b}", "{a} {n}s, {b} {m}s", "{a} until second {n}, then {b}",
           "{n} seconds of {a} followed by {b}", "{a}, after {n} seconds {b}", "{a}, and {b} after {n} seconds"]


def lasting_course(rng, seconds):
    """Two states, the first for a number of seconds; None for short videos."""
    if seconds < 8:
        return None
    second = rng.choice([n for n in (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 45, 50) if n < seconds - 1])
    if rng.random() < 0.35:
        first = rng.choice(DAY)
        pair = [first, _next_time(rng, first)]
        names = [rng.choice(TIME_NOUNS[t]) for t in pair]
        states = [dict(time=t, time_words=line_time(name, t)) for t, name in zip(pair, names)]
    else:
        first = weighted(rng, ["clear", "cloudy", "rain", "snow"], [4, 2, 3, 2])
        pair = [first, _next_weather(rng, first)]
        names = [rng.choice(WEATHER_NOUNS[w]) for w in pair]
        states = [dict(weather=w, weather_words=line_sky(name, w)) for w, name in zip(pair, names)]
    text = rng.choice(LASTING).format(n=second, m=seconds - second, a=names[0], b=names[1])
    return Course(states, [text], starts=[0, second], told_times="time" in states[0],
                  told_weathers="weather" in states[0])
