"""What time and weather do in a wish: phrases for it, and the states that tell it."""

import re
from dataclasses import dataclass, field

import captions as c
from wish_words import by_rank, weighted

DAY = ["dawn", "day", "sunset", "night"]

# What a wish says, the state, and the words of the line (None: any).
TIME_NAMES = [
    ("dawn", "dawn", "at dawn"), ("sunrise", "dawn", "at sunrise"), ("morning", "dawn", "in the morning"),
    ("the morning", "dawn", "in the morning"), ("early morning", "dawn", "in the early morning"),
    ("daybreak", "dawn", "at daybreak"), ("first light", "dawn", "at first light"), ("sunup", "dawn", "at sunup"),
    ("day", "day", "in the daytime"), ("noon", "day", "at noon"), ("midday", "day", "at midday"),
    ("afternoon", "day", "in the afternoon"), ("the afternoon", "day", "in the afternoon"),
    ("daylight", "day", "in daylight"), ("lunchtime", "day", "at lunchtime"), ("daytime", "day", "in the daytime"),
    ("bright day", "day", "in broad daylight"),
    ("sunset", "sunset", "at sunset"), ("evening", "sunset", "in the evening"), ("the evening", "sunset",
                                                                                 "in the evening"),
    ("dusk", "sunset", "at dusk"), ("sundown", "sunset", "at sundown"), ("twilight", "sunset", "at twilight"),
    ("golden hour", "sunset", "in the golden hour"),
    ("night", "night", "at night"), ("midnight", "night", "at midnight"), ("the night", "night", "at night"),
    ("darkness", "night", "in the darkness"), ("late night", "night", "late at night"), ("dark", "night",
                                                                                         "in the dark"),
    ("the dark of night", "night", "on a dark night"), ("nighttime", "night", "at night"),
    ("starlight", "night", "under the night sky"), ("moonlight", "night", "at night")]
WEATHER_NAMES = [
    ("sun", "clear", None), ("sunshine", "clear", None), ("clear sky", "clear", "under a clear sky"),
    ("clear skies", "clear", "under clear skies"), ("blue sky", "clear", "under a clear sky"),
    ("blue skies", "clear", "under clear skies"), ("fine weather", "clear", "in fine weather"),
    ("good weather", "clear", "in good weather"), ("nice weather", "clear", "in nice weather"), ("calm", "clear", None),
    ("sunny", "clear", None), ("bright sunshine", "clear", None), ("the sun", "clear", None), ("clear", "clear", None),
    ("clouds", "cloudy", "under clouds"), ("cloudy", "cloudy", "under a cloudy sky"),
    ("fog", "cloudy", "in fog"), ("mist", "cloudy", "in the mist"), ("grey sky", "cloudy", "under a grey sky"),
    ("grey clouds", "cloudy", "under a grey sky"), ("overcast", "cloudy", "under an overcast sky"),
    ("dark clouds", "cloudy", "under thick clouds"), ("cloud", "cloudy", "under a cloudy sky"),
    ("foggy", "cloudy", "in fog"), ("gray skies", "cloudy", "under a gray sky"),
    ("rain", "rain", "in the rain"), ("rain", "rain", "in the rain"), ("heavy rain", "rain", "in heavy rain"),
    ("storm", "rain", "in a storm"), ("a storm", "rain", "in a storm"), ("thunderstorm", "rain",
                                                                         "during a thunderstorm"),
    ("a thunderstorm", "rain", "during a thunderstorm"), ("drizzle", "rain", "in the drizzle"),
    ("downpour", "rain", "in a downpour"), ("a downpour", "rain", "in a downpour"), ("shower", "rain",
                                                                                     "during a shower"),
    ("rainy", "rain", "in the rain"), ("stormy", "rain", "in a storm"), ("pouring rain", "rain", "in pouring rain"),
    ("thunder and lightning", "rain", "in thunder and lightning"), ("the rain", "rain", "in the rain"),
    ("snow", "snow", "in the snow"), ("snow", "snow", "in the snow"), ("snowfall", "snow", "in a snowfall"),
    ("blizzard", "snow", "in a blizzard"), ("a blizzard", "snow", "in a blizzard"), ("snowstorm", "snow",
                                                                                     "in a snowstorm"),
    ("snowflakes", "snow", "among snowflakes"), ("winter", "snow", "in the winter snow"), ("snowy", "snow",
                                                                                           "in the snow"),
    ("a snowstorm", "snow", "in a snowstorm"), ("the snow", "snow", "in the snow"), ("frost", "snow",
                                                                                     "in frost and snow")]
AMOUNTS = ["a bit of ", "some ", "a lot of ", "a little ", "lots of "]
# Sentences in place of names.
TIME_CLAUSES = [("the sun rises", "dawn", "at sunrise"), ("the sun comes up", "dawn", "at sunrise"),
                ("it gets light", "dawn", "at dawn"), ("day breaks", "dawn", "at daybreak"),
                ("morning comes", "dawn", "in the morning"), ("the sun is high", "day", "at noon"),
                ("the sun sets", "sunset", "at sunset"), ("the sun goes down", "sunset", "at sunset"),
                ("evening comes", "sunset", "in the evening"), ("dusk falls", "sunset", "at dusk"),
                ("night falls", "night", "at night"), ("it gets dark", "night", "in the dark"),
                ("the stars come out", "night", "under the night sky"), ("the moon rises", "night", "at night"),
                ("the first sunlight", "dawn", "at first light"), ("the lights go on", "night", "at night")]
WEATHER_CLAUSES = [("the sun shines", "clear", None), ("it clears up", "clear", None), ("the sun comes out", "clear",
                                                                                        None),
                   ("the sun is back", "clear", None), ("clouds come up", "cloudy", "under clouds"),
                   ("clouds gather", "cloudy", "under thick clouds"), ("fog comes in", "cloudy", "in fog"),
                   ("it rains", "rain", "in the rain"), ("it pours", "rain", "in pouring rain"),
                   ("it begins to pour", "rain", "in pouring rain"), ("it starts to rain", "rain", "in the rain"),
                   ("a storm breaks out", "rain", "in a storm"), ("it snows", "snow", "in the snow"),
                   ("it starts to snow", "snow", "in the snow"), ("snow falls", "snow", "in falling snow")]
SEASON_NAMES = [("spring", "clear"), ("summer", "clear"), ("autumn", "cloudy"), ("winter", "snow"), ("fall", "cloudy")]

FROM_TO = ["from {0} to {1}", "from {0} to {1}", "from {0} to {1}", "from {0} till {1}", "{0} till {1}",
           "from {0} until {1}", "{0} to {1}",
           "{0} turns to {1}", "{0} turns into {1}", "{0} becomes {1}", "between {0} and {1}", "{0} turning into {1}",
           "starts at {0} and ends at {1}", "starting at {0}, ending at {1}", "begins in {0} and ends in {1}",
           "{0} gives way to {1}", "{0} fades into {1}", "{0} -> {1}", "{0}...{1}", "{0} through {1}", "{0} - {1}",
           "from {0} into {1}", "{0} changes to {1}", "{0} slowly turns to {1}", "all the way from {0} to {1}",
           "going from {0} to {1}", "{0} until {1}", "passing from {0} to {1}",
           "beginning with {0} and ending with {1}",
           "starts in {0} and ends in {1}", "it begins with {0} and it ends with {1}", "{0} at first, {1} at the end",
           "{0} in the beginning and {1} at the end"]
LEAVES = ["leaves", "starts", "sets out", "sets off", "departs", "goes out", "takes off", "begins its journey",
          "wakes up",
          "leaves home", "starts out", "begins"]
ARRIVES = ["arrives", "ends", "returns", "comes home", "comes back", "gets home", "is back", "reaches home", "stops",
           "ends its journey", "goes to sleep", "is home again", "lands"]
IN_ORDER = {2: ["{0} and at last {1}", "{0}, at last {1}", "{0}, later on {1}", "{0} and in the end {1}",
                "{0}, afterwards {1}",
                "{0} and later {1}", "{0} and finally {1}", "{0} until {1}", "{0}, and then {1}","{0}, then {1}",
                "first {0}, then {1}", "{0} and then {1}", "{0} then {1}", "{0} followed by {1}",
                "{0}, later {1}", "{0}, after that {1}", "at first {0}, then {1}", "{1} after {0}", "{0} before {1}",
                "{0}; then {1}", "first {0} and then {1}", "first {0} later {1}", "{0} and at the end {1}",
                "{0}, finally {1}", "to begin with {0}, in the end {1}"],
            3: ["{0}, later {1}, at the end {2}", "{0}, later {1} and finally {2}", "first {0}, later {1}, at last {2}",
                "{0}, then {1} and in the end {2}", "{0} first, {1} after that, {2} at the end", 
                "from {0} to {1} to {2}", "{0} to {1} to {2}", "{0} turns to {1} and then to {2}", "{0}, {1}, {2}",
                "{0}, {1} and {2}", "{0}, then {1}, then {2}", "first {0}, then {1}, then {2}",
                "{0} then {1} then {2}", "{0}, {1}, then {2}", "{0}, then {1} and finally {2}",
                "first {0}, then {1}, and {2}",
                "{0}, after that {1}, and at the end {2}", "{0} and {1} and {2}", "{0} / {1} / {2}",
                "{0} -> {1} -> {2}"],
            4: ["{0}, {1}, {2}, {3}", "{0}, {1}, {2} and {3}", "first {0}, then {1}, then {2}, then {3}",
                "{0} then {1} then {2} then {3}", "{0}, then {1}, then {2} and finally {3}", "{0} -> {1} -> {2} -> {3}",
                "{0}, {1} and {2}, then {3}"]}

# (phrases that are nouns, phrases that are clauses, possible courses)
TIME_COURSES = [
    (["a day", "a day", "a whole day", "one day", "a full day", "a long day", "the course of a day",
      "a day and a night",
      "day and night", "24 hours", "a perfect day", "a beautiful day", "a quiet day", "a lazy day", "a day out",
      "an ordinary day", "the hours of a day", "a whole day and night", "one whole day", "an entire day",
      "a single day",
      "twenty-four hours", "a day from beginning to end", "a great day", "a day's journey", "a day trip"],
     ["a day passes", "a day goes by", "the day goes by", "all through the day and into the night", "the whole day",
      "morning, noon, evening and night", "over the course of a day", "throughout the day", "the day passes",
      "as the day goes by", "all times of day", "at every time of day", "time passes", "the hours pass",
      "during one day",
      "the light changes through the day", "all day and all night", "the entire day"],
     [DAY]),
    (["the end of the day", "the end of a day", "nightfall", "the way into the night", "the coming of night",
      "the last hour of the day", "the fall of night"],
     ["night falls", "it gets dark", "it grows dark", "it becomes night", "the night comes", "until dark",
      "until night",
      "night comes", "then night falls", "until the stars come out", "the stars come out", "it slowly gets dark",
      "the day ends", "darkness comes", "turning to night", "into the night", "until midnight", "the moon rises",
      "day turns to night", "the light fades", "until it is dark", "evening comes and then the night", "ends at night",
      "till late at night", "and it is getting dark", "light slowly goes away"],
     [["sunset", "night"], ["day", "sunset", "night"]]),
    (["a sunset that comes", "the way into evening", "the coming of evening"],
     ["the sun sets", "the sun goes down", "evening comes", "until sunset", "until evening", "until the sun goes down",
      "then the sun sets", "the sun is going down at the end", "ends in the evening", "till sunset", "until dusk",
      "evening falls at the end", "the sun slowly sets", "until the evening"],
     [["day", "sunset"], ["dawn", "day", "sunset"]]),
    (["the end of the night", "a new day", "the birth of a day", "the coming of morning", "the last hour of the night"],
     ["the sun rises", "the sun comes up", "morning comes", "day breaks", "until sunrise", "until dawn",
      "until morning",
      "then the sun rises", "the night ends", "waiting for the sunrise", "waiting for the morning", "a new day begins",
      "the sun slowly rises", "it gets light", "the darkness ends", "night turns to day",
      "through the night until dawn",
      "until the sun comes up", "waits for the sunrise", "and it gets light again", "the night is over",
      "waiting for the sun", "waits for the sun", "until the first sunlight",
      "the long night ends", "and in the morning the sun is back"],
     [["night", "dawn"], ["night", "dawn", "day"]]),
]
STORM = dict(rain=["storm", "thunderstorm", "rain shower", "shower", "rainstorm", "downpour", "heavy rain", "storm"],
             snow=["blizzard", "snowstorm", "snow shower", "snowfall"])
COMES_AND_GOES = ["a {0} comes and goes", "a {0} comes and goes", "a {0} passes", "a {0} passes by",
                  "a {0} passes over",
                  "a passing {0}", "a {0} rolls in and out", "a {0} blows over", "a sudden {0}", "a brief {0}",
                  "a short {0}",
                  "the {0} comes and goes", "caught in a {0} that passes", "a {0} comes, then it is calm again",
                  "a {0} in the middle", "a {0} and then calm", "before, during and after a {0}", "calm, {0}, calm",
                  "a {0} moves through", "a {0} comes up and passes", "a {0} rages and then goes away",
                  "the calm, the {0}, the calm", "good weather, then a {0}, then good weather again",
                  "survives a {0}", "weathers a {0}", "a {0} arrives and leaves", "a {0} comes and then goes away"]
# (phrases, possible courses)
WEATHER_COURSES = [
    (["rain comes and goes", "it rains for a while", "it rains and then clears up", "it rains a bit and then stops",
      "some rain in the middle", "rain and then sun again", "it rains for a moment"],
     [["clear", "rain", "clear"], ["clear", "cloudy", "rain", "clear"], ["clear", "cloudy", "rain", "cloudy",
                                                                         "clear"]]),
    (["snow comes and goes", "it snows for a while", "it snows and then stops"],
     [["clear", "snow", "clear"], ["clear", "cloudy", "snow", "clear"]]),
    (["clouds come and go", "clouds drift in and out", "clouds pass by and go", "a cloud passes", "passing clouds"],
     [["clear", "cloudy", "clear"]]),
    (["it starts to rain", "it begins to rain", "rain sets in", "the rain begins", "then it rains", "rain comes",
      "rain starts to fall", "it starts raining", "then the rain comes", "until it rains", "then it starts to rain",
      "rain is coming", "the first drops fall", "ends in the rain", "gets caught in the rain", "and rain starts",
      "it begins to pour", "it starts to pour", "clouds gather and it begins to pour", "the weather turns bad",
      "the weather gets worse", "dark clouds gather and it rains", "clouds gather and it rains",
      "dark clouds bring rain", "the weather changes for the worse", "clouds bring rain", "rain begins to fall",
      "the weather gets worse and worse", "it gets worse", "bad weather comes",
      "starts dry and gets wet", "a sunny day that turns rainy", "it turns rainy", "it gets rainy"],
     [["clear", "rain"], ["clear", "cloudy", "rain"], ["cloudy", "rain"]]),
    (["a storm is coming", "a storm approaches", "a storm brews", "a storm comes up", "a storm comes",
      "a storm gathers",
      "a storm builds", "gets caught in a storm", "sails into a storm", "into the storm", "the storm begins",
      "a storm rolls in", "ends in a storm", "then a storm breaks out", "heading into a storm"],
     [["clear", "storm"], ["clear", "cloudy", "storm"], ["cloudy", "storm"]]),
    (["the rain stops", "it stops raining", "after the rain the sun comes out", "the sky clears", "the sky clears up",
      "the weather gets better", "sunshine after rain", "sun after the rain", "the rain ends", "until the rain stops",
      "it clears up", "the rain goes away", "after rain comes sunshine", "the sun comes out after the rain",
      "rain gives way to sun", "the weather improves", "when the rain is over the sun shines", "and the rain is gone",
      "rain that stops", "a rainy day that ends in sunshine", "the weather gets better and better",
      "rain that clears up",
      "a shower that ends", "the sky brightens after the rain", "bad weather gets better"],
     [["rain", "clear"], ["rain", "cloudy", "clear"]]),
    (["the storm passes", "the storm ends", "after the storm", "the storm is over", "calm after the storm",
      "the calm after the storm", "the storm dies down", "until the storm is over", "out of the storm",
      "the storm clears", "escapes the storm", "sunshine after the storm", "the storm calms down",
      "a storm that clears up",
      "a storm that ends", "a thunderstorm that clears"],
     [["storm", "clear"], ["storm", "cloudy", "clear"]]),
    (["it starts to snow", "it begins to snow", "the first snow falls", "first snow", "snow begins to fall",
      "winter comes",
      "winter arrives", "snow sets in", "then it snows", "until it snows", "snow starts to fall", "the first snow",
      "it starts snowing", "the coming of winter", "winter is coming", "ends in the snow", "then comes the snow",
      "winter begins", "the first snowflakes fall", "snow comes"],
     [["cloudy", "snow"], ["clear", "snow"], ["clear", "cloudy", "snow"]]),
    (["the snow stops", "it stops snowing", "the snow melts", "spring comes", "winter ends", "the thaw",
      "after the snow",
      "the end of winter", "the snow goes away", "until the snow stops", "spring arrives", "the ice melts",
      "winter gives way to spring", "the snowstorm ends", "the snow is gone", "after the snow the sun comes out",
      "snow that melts", "snow that stops", "a snowy day that clears up"],
     [["snow", "clear"], ["snow", "cloudy", "clear"]]),
    (["clouds gather", "clouds come in", "it clouds over", "the sky turns grey", "clouds cover the sky", "fog rolls in",
      "fog comes in", "the fog comes", "clouds move in", "the sun goes behind the clouds", "it gets cloudy"],
     [["clear", "cloudy"]]),
    (["the clouds part", "the fog lifts", "the clouds go away", "the sun comes out", "the mist clears",
      "the fog clears",
      "the sun breaks through the clouds", "the clouds break up", "it gets sunny", "the fog goes away",
      "the sky opens up",
      "fog that lifts", "mist that clears", "the fog slowly lifts", "a grey day that gets sunny"],
     [["cloudy", "clear"]]),
]
CHANGEABLE = ["changing weather", "all kinds of weather", "every kind of weather", "the weather keeps changing",
              "april weather",
              "every weather", "different weather", "in all weathers", "weather of all kinds", "all weathers",
              "any weather",
              "lots of different weather", "the weather changes all the time", "through all kinds of weather",
              "sun, rain and snow"]
SEASONS = ["the four seasons", "four seasons", "a journey through four seasons", "a journey through the four seasons",
           "through the seasons", "all four seasons", "the seasons pass", "a year", "a whole year", "one year",
           "spring, summer, autumn and winter", "spring summer autumn winter", "the changing seasons", "a year goes by",
           "the seasons change", "seasons", "the seasons of the year", "through the year", "a year in the life",
           "from spring to winter", "a trip through the seasons", "a year passes", "spring, summer, fall, winter",
           "all seasons", "the course of a year", "in all four seasons", "each season", "throughout the year",
           "through every season", "every season", "in every season",
           "the seasons come and go", "spring then summer then autumn then winter", "a year of seasons"]
# (phrase, time or None, weather, a noun?)
SEASONAL = [("in summer", None, "clear", False), ("a summer day", None, "clear", True), ("in spring", None, "clear",
                                                                                         False),
            ("a summer evening", "sunset", "clear", True), ("a summer night", "night", "clear", True),
            ("a summer morning", "dawn", "clear", True), ("a spring morning", "dawn", "clear", True),
            ("on a spring day", None, "clear", False), ("in the summer", None, "clear", False),
            ("summer", None, "clear", False), ("spring", None, "clear", False), ("in autumn", None, "cloudy", False),
            ("an autumn day", None, "cloudy", True), ("an autumn evening", "sunset", "cloudy", True),
            ("in the fall", None, "cloudy", False), ("one summer evening", "sunset", "clear", True),
            ("an autumn morning", "dawn", "cloudy", True), ("a winter evening", "sunset", "snow", True),
            ("a winter morning", "dawn", "snow", True), ("a winter night", "night", "snow", True),
            ("in the middle of winter", None, "snow", False), ("summer vacation", None, "clear", True),
            ("no rain", None, "clear", False), ("without any clouds", None, "clear", False), ("dry", None, "clear",
                                                                                              False),
            ("a hot summer day", None, "clear", True), ("in the warm sun", None, "clear", False),
            ("a cold winter day", None, "snow", True), ("a foggy morning", "dawn", "cloudy", True),
            ("a rainy morning", "dawn", "rain", True), ("a stormy evening", "sunset", "rain", True)]
NIGHT_OUT = ["a night", "all night", "all night long", "one night", "a long night", "the whole night",
             "through the night"]
DAY_PARTS = [("morning", "dawn", "in the morning"), ("afternoon", "day", "in the afternoon"), ("noon", "day",
                                                                                               "at noon"),
             ("evening", "sunset", "in the evening"), ("night", "night", "at night"), ("dawn", "dawn", "at dawn"),
             ("sunset", "sunset", "at sunset"), ("midday", "day", "at midday"), ("dusk", "sunset", "at dusk")]
EVENTS = [  # clause, time before and after, weather before and after
    ("night falls", ("sunset", "night"), None), ("it gets dark", ("sunset", "night"), None),
    ("it becomes night", ("sunset", "night"), None), ("the sun sets", ("day", "sunset"), None),
    ("the sun goes down", ("day", "sunset"), None), ("the sun rises", ("night", "dawn"), None),
    ("the sun comes up", ("night", "dawn"), None), ("morning comes", ("night", "dawn"), None),
    ("it starts to rain", None, ("clear", "rain")), ("it rains", None, ("clear", "rain")),
    ("rain sets in", None, ("clear", "rain")), ("a storm breaks out", None, ("clear", "storm")),
    ("it starts to snow", None, ("clear", "snow")), ("it snows", None, ("clear", "snow")),
    ("the rain stops", None, ("rain", "clear")), ("it stops raining", None, ("rain", "clear")),
    ("the sun comes out", None, ("cloudy", "clear")), ("the snow stops", None, ("snow", "clear")),
    ("clouds come", None, ("clear", "cloudy")), ("evening comes", ("day", "sunset"), None)]
WHEN = ["after {n} seconds {e}", "{e} after {n} seconds", "at {n} seconds {e}", "{n} seconds in, {e}", "{e} at {n} s",
        "after {n}s {e}", "at 0:{n:02d} {e}", "{e} at second {n}", "for {n} seconds, then {e}", "after {n} sec {e}"]
HALF = ["halfway {e}", "in the middle {e}", "{e} halfway through", "half way through {e}", "{e} in the middle"]


@dataclass
class Course:
    """phrases: what the wish says; noun: the first one is a noun; form: that of the first one, noun, adverb or
    clause, or None; adjective: one for the landscape, or None; states:
    one per line; starts: seconds, where the wish tells them."""

    states: list
    phrases: list = field(default_factory=list)
    noun: bool = False
    form: str = None
    adjective: str = None
    starts: list = None
    told_times: bool = False
    told_weathers: bool = False


def fitted(values, most):
    """At most `most` of the values, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    return [values[round(i * (len(values) - 1) / (most - 1))] for i in range(most)]


def _sky(name, rng=None):
    """State and words for a name of a course; a storm keeps its name."""
    return ("rain", "in a storm") if name == "storm" else (name, None)


def _flavour(phrase, kind, state):
    """Words of the line for a phrase of the captions: its own where they are plain, else any."""
    own = {"time": {"sunrise|sun rise|sunup|sun comes": "at sunrise",
                    "daybreak|day break|day is breaking": "at daybreak",
                    "dawn": "at dawn", "early": "in the early morning", "morning": "in the morning",
                    "noon": "at noon", "midday|middle of the day": "at midday", "afternoon": "in the afternoon",
                    "daylight": "in broad daylight", "dusk": "at dusk", "evening": "in the evening",
                    "twilight": "at twilight", "sunset|sun set|setting": "at sunset", "golden": "in the golden hour",
                    "midnight": "at midnight", "late at|late night|late hour": "late at night",
                    "dark": "on a dark night"},
           "weather": {"thunder": "during a thunderstorm", "storm": "in a storm", "drizzl": "in the drizzle",
                       "downpour": "in a downpour", "shower": "during a shower", "heavy|hard": "in heavy rain",
                       "pour": "in pouring rain"} if state == "rain" else
           {"fog": "in fog", "mist": "in the mist", "grey|gray": "under a grey sky",
            "overcast": "under an overcast sky"} if state == "cloudy" else
           {"blizzard": "in a blizzard", "snowstorm": "in a snowstorm", "flake": "among snowflakes",
            "winter|wint": "in the winter snow"} if state == "snow" else {"cloudless": "beneath a cloudless sky",
                                                                           "fine": "in fine weather"}}[kind]
    from_both = {"afternoon": "afternoon" in phrase}
    for pattern, words in own.items():
        if re.search(pattern, phrase) and not (pattern == "noon" and from_both["afternoon"]):
            return words
    return None


def _static(rng, story, most):
    """One state that the wish tells wholly, in part or not at all; what it does not tell changes, or not."""
    time, weather = rng.choice(DAY), rng.choice(list(c.WEATHER_PHRASES))
    told_time, told_weather = rng.random() < 0.45, rng.random() < 0.45
    course = Course([], told_times=told_time, told_weathers=told_weather)
    time_words = weather_words = None
    told = [False, False]
    if rng.random() < 0.12:
        phrase, season_time, weather, course.noun = rng.choice(SEASONAL)
        course.phrases = [phrase]
        course.told_weathers = told_weather = True
        weather_words = _flavour(phrase, "weather", weather)
        course.told_times = told_time = season_time is not None
        if told_time:
            time, time_words = season_time, _flavour(phrase, "time", season_time)
        told = [True, True]
    elif told_time and told_weather and rng.random() < 0.5:
        form = rng.choice(["adverb", "clause", "noun", "adjective"])
        both = c.BOTH_PHRASES[time, weather] if (time, weather) in c.BOTH_PHRASES else None
        if both:
            phrase = rng.choice(both[form])
            course.adjective, course.phrases = (phrase, []) if form == "adjective" else (None, [phrase])
            course.noun = form == "noun" and not phrase.endswith("s")
            if re.search(r"\bday\b", phrase) and time == "day":
                course.told_times = told_time = False  # "a rainy day" may be a whole one
            elif weather != "clear":
                weather_words = _flavour(phrase, "weather", weather)
            if (time, weather) == ("night", "clear") and re.search("star|moon", phrase):
                time_words, weather_words = "at night", "under a starry sky" if "star" in phrase else None
            else:
                time_words = _flavour(phrase, "time", time)
            if not told_time:
                time_words = None
        told = [bool(both)] * 2
    if told_time and not told[0]:
        form = rng.choice(["adverb", "adverb", "clause", "noun"])
        phrase = rng.choice(c.TIME_PHRASES[time][form])
        if rng.random() < 0.12 and "actor" in story.told and not story.implied:
            story.time_word, time_words = rng.choice({
                "dawn": [("morning", "in the morning"), ("early", "in the early morning"), ("dawn", "at dawn")],
                "day": [("afternoon", "in the afternoon"), ("noon", "at noon")],
                "sunset": [("evening", "in the evening"), ("sunset", "at sunset"), ("late evening", "in the evening")],
                "night": [("night", "at night"), ("midnight", "at midnight"), ("late", "late at night")]}[time])
        elif rng.random() < 0.12 and not course.adjective:
            course.adjective = rng.choice(c.TIME_PHRASES[time]["adjective"])
        else:
            course.phrases.append(phrase)
            course.noun = form == "noun"
            time_words = _flavour(phrase, "time", time)
    if told_weather and not told[1]:
        form = rng.choice(["adverb", "adverb", "clause", "noun"])
        phrase = rng.choice(c.WEATHER_PHRASES[weather][form])
        if rng.random() < 0.30 and not course.adjective:
            course.adjective = phrase = rng.choice(c.WEATHER_PHRASES[weather]["adjective"])
        else:
            course.phrases.append(phrase)
            course.noun = form == "noun" and len(course.phrases) == 1
        weather_words = _flavour(phrase, "weather", weather)
    rng.shuffle(course.phrases)
    times, weathers = [time], [weather]
    if not told_time and rng.random() < 0.65:
        first = weighted(rng, [1, 0, 2, 3], [6, 3, 1, 1])
        times = [DAY[(first + i) % 4] for i in range(min(most, weighted(rng, [3, 2, 4], [6, 2, 1])))]
    if not told_weather and (told_time or rng.random() < 0.35):
        weathers = by_rank(rng, [["clear", "cloudy", "rain"], ["clear"], ["clear", "cloudy"], ["cloudy", "clear"],
                                 ["clear", "rain", "clear"], ["clear", "cloudy", "snow"], ["rain", "cloudy", "clear"],
                                 ["snow", "clear"]])
    elif not told_weather:
        weathers = [weighted(rng, ["clear", "cloudy", "rain", "snow"], [12, 2, 1, 1])]
    course.states = _combined(times, weathers, most)
    for state in course.states:
        if time_words and told_time:
            state["time_words"] = time_words
        if weather_words and told_weather:
            state["weather_words"] = weather_words
    return course


def _combined(times, weathers, most):
    """States that go through both lists at once, without repeating one."""
    n = min(most, max(len(times), len(weathers)))
    times, weathers = fitted(times, n), fitted(weathers, n)
    pick = lambda values, i: values[min(len(values) - 1, i * len(values) // n)]
    states = []
    for i in range(n):
        state = dict(time=pick(times, i), weather=pick(weathers, i))
        if not states or state != states[-1]:
            states.append(state)
    return states


def _untold_weathers(rng):
    if rng.random() < 0.7:
        return [weighted(rng, ["clear", "cloudy", "rain", "snow"], [12, 2, 1, 1])]
    return by_rank(rng, [["clear", "cloudy"], ["cloudy", "clear"], ["clear", "rain", "clear"], ["clear", "cloudy",
                                                                                              "rain"],
                       ["rain", "clear"], ["clear", "snow"]])


def _named_states(rng, names, kind):
    key = "time" if kind == "time" else "weather"
    return [{key: state, f"{key}_words": words} for _, state, words in names]


def _path(first, last):
    """From one time of day to another, those between included; a whole day if both are the same."""
    i, j = DAY.index(first), DAY.index(last)
    return [DAY[(i + k) % 4] for k in range((j - i - 1) % 4 + 2)]


def _time_course(rng, most):
    course = Course([], told_times=True)
    kind = rng.random()
    if kind < 0.30:
        first, last = rng.choice(TIME_NAMES), rng.choice(TIME_NAMES)
        while first[1] == last[1]:
            last = rng.choice(TIME_NAMES)
        if rng.random() < 0.5:
            first, last = rng.choice([("morning", "night"), ("dawn", "dusk"), ("morning", "evening"), ("day", "night"),
                                      ("sunrise", "sunset"), ("night", "day"), ("dusk", "dawn"), ("noon", "night"),
                                      ("sunset", "sunrise"), ("midnight", "noon"), ("night", "morning"),
                                      ("sunrise", "midnight"), ("dawn", "night"), ("noon", "midnight")])
            first, last = (next(n for n in TIME_NAMES if n[0] == x) for x in (first, last))
        course.phrases = [rng.choice(FROM_TO).format(first[0], last[0])]
        back = rng.random() < 0.08
        if back:
            template = rng.choice(["from {0} to {1} and back", "{0} to {1} and back again",
                                   "from {0} to {1} and back to {0}",
                                   "{0}, {1}, and {0} again", "from {0} through {1} to {0} again"])
            course.phrases = [template.format(first[0], last[0])]
        elif rng.random() < 0.2:
            course.phrases = [f"{rng.choice(LEAVES)} {first[2]} and {rng.choice(ARRIVES)} {last[2]}"]
        path = _path(first[1], last[1])
        if back:
            last = first
            path = fitted(path, most - 1) + [first[1]] if most > 2 else path
        states = [dict(time=t) for t in fitted(path, most)]
        if back and most <= 2:
            last = (None, None, None)
        states[0]["time_words"], states[-1]["time_words"] = first[2], last[2]
    elif kind < 0.50:
        n = min(most, rng.choice([2, 2, 3, 3, 4]))
        first = rng.randrange(4)
        order = [DAY[(first + i) % 4] for i in range(n)] if rng.random() < 0.85 else rng.sample(DAY, n)
        clauses = rng.random() < 0.4
        table = TIME_NAMES + TIME_CLAUSES * 3 if clauses else TIME_NAMES
        names = [rng.choice([name for name in table if name[1] == t]) for t in order]
        template = rng.choice(IN_ORDER[n])
        course.phrases = [template.format(*(name[0] for name in names))]
        states = [dict(time=t, time_words=w) for _, t, w in names]
    elif kind < 0.56:
        phrase = rng.choice(NIGHT_OUT)
        course.phrases, course.noun = [phrase], phrase.startswith(("a ", "one", "the"))
        states = [dict(time="night")]
    else:
        nouns, clauses, courses = rng.choice(TIME_COURSES + TIME_COURSES[:1] * 2)
        course.noun = rng.random() < 0.55
        course.phrases = [rng.choice(nouns if course.noun else clauses)]
        states = [dict(time=t) for t in fitted(by_rank(rng, courses), most)]
    course.states = states
    return course


def _weather_course(rng, most):
    course = Course([], told_weathers=True)
    kind = rng.random()
    if kind < 0.20:
        fall = rng.choice(["rain", "rain", "snow"])
        name = rng.choice(STORM[fall])
        course.phrases = [rng.choice(COMES_AND_GOES).format(name).replace("a heavy", "heavy")]
        words = {"storm": "in a storm", "thunderstorm": "during a thunderstorm", "shower": "during a shower",
                 "rainstorm": "in a rainstorm", "downpour": "in a downpour", "heavy rain": "in heavy rain",
                 "rain shower": "during a shower", "blizzard": "in a blizzard", "snowstorm": "in a snowstorm",
                 "snowfall": "in a snowfall", "snow shower": "in falling snow"}[name]
        pattern = by_rank(rng, [["clear", "cloudy", fall, "clear"], ["clear", fall, "clear"],
                                ["clear", "cloudy", fall, "cloudy", "clear"]])
        states = [dict(weather=w, weather_words=words if w == fall else None)
                  for w in (pattern if len(pattern) <= most else ["clear", fall, "clear"][:max(2, most)])]
    elif kind < 0.55:
        phrases, courses = rng.choice(WEATHER_COURSES)
        course.phrases = [rng.choice(phrases)]
        states = [dict(zip(("weather", "weather_words"), _sky(w))) for w in _keeping_falls(by_rank(rng, courses), most)]
        if "fog" in course.phrases[0] or "mist" in course.phrases[0]:
            for s in states:
                if s["weather"] == "cloudy":
                    s["weather_words"] = "in fog" if "fog" in course.phrases[0] else "in the mist"
    elif kind < 0.72:
        first, last = rng.choice(WEATHER_NAMES), rng.choice(WEATHER_NAMES)
        while first[1] == last[1]:
            last = rng.choice(WEATHER_NAMES)
        course.phrases = [rng.choice(FROM_TO).format(first[0], last[0])]
        names = [first, last]
        if first[2] and last[2] and rng.random() < 0.15:
            course.phrases = [f"{rng.choice(LEAVES)} {first[2]} and {rng.choice(ARRIVES)} {last[2]}"]
        if most > 2 and {first[1], last[1]} & {"clear"} and {first[1], last[1]} & {"rain",
                                                                                   "snow"} and rng.random() < 0.5:
            names.insert(1, (None, "cloudy", None))
        states = _named_states(rng, names, "weather")
    elif kind < 0.94:
        n = min(most, rng.choice([2, 2, 3, 3, 4]))
        table = WEATHER_NAMES + WEATHER_CLAUSES * 3 if rng.random() < 0.4 else WEATHER_NAMES
        names = [rng.choice(table)]
        while len(names) < n:
            name = rng.choice(table)
            if name[1] != names[-1][1]:
                names.append(name)
        names = [(rng.choice(AMOUNTS) + said, *rest) if said in ("rain", "snow", "sun", "fog", "clouds", "sunshine") and
                 rng.random() < 0.25 else (said, *rest) for said, *rest in names]
        template = rng.choice(IN_ORDER[n])
        said = [name[0] for name in names]
        if n > 2 and names[-1][1] in (name[1] for name in names[:-1]) and rng.random() < 0.5:
            said[-1] += " again"
        course.phrases = [rng.choice(["", "", "", "", "weather forecast: ", "the weather: "]) + template.format(*said)]
        states = _named_states(rng, names, "weather")
    else:
        course.phrases = [rng.choice(CHANGEABLE)]
        order = rng.choice([["clear", "cloudy", "rain", "snow"], ["rain", "clear", "cloudy", "snow"],
                            ["clear", "rain", "cloudy", "snow", "clear"], ["cloudy", "rain", "clear", "snow"]])
        states = [dict(weather=w) for w in ["clear", "rain", "snow"][:most]] if most < 4 else [
            dict(weather=w) for w in fitted(order, most)]
    course.states = states
    return course


def _keeping_falls(values, most):
    """As fitted, but what falls from the sky stays."""
    if len(values) <= most:
        return list(values)
    return [v for v in values if v != "cloudy"][:most]


def _seasons(rng, most):
    course = Course([])
    spring = dict(weather=by_rank(rng, ["clear", "rain"]), time="dawn", time_words="in the morning")
    summer = dict(weather="clear", time="day", time_words=rng.choice(["at noon", "in broad daylight",
                                                                      "in the afternoon"]))
    autumn = dict(weather=by_rank(rng, ["cloudy", "rain"]), time="sunset", time_words=rng.choice(["in the evening",
                                                                                                "at dusk"]))
    winter = dict(weather="snow", time=by_rank(rng, ["night", "day"]), weather_words="in the winter snow")
    of_name = dict(spring=spring, summer=summer, autumn=autumn, fall=autumn, winter=winter)
    if rng.random() < 0.62:
        course.phrases = [rng.choice(SEASONS)]
        course.noun = course.phrases[0].startswith(("a ", "the ", "one "))
        course.states = [dict(s) for s in fitted([spring, summer, autumn, winter], max(most, 4))]
    else:
        n = rng.choice([2, 2, 3])
        names = rng.sample(["spring", "summer", "autumn", "winter"], n)
        if rng.random() < 0.6:
            names = rng.choice([["summer", "winter"], ["autumn", "winter"], ["winter", "spring"], ["winter", "summer"],
                                ["summer", "autumn"], ["summer", "autumn", "winter"], ["spring", "summer"]])
        course.states = [dict(of_name[name]) for name in names]
        said = ["fall" if name == "autumn" and rng.random() < 0.3 else name for name in names]
        template = rng.choice(FROM_TO) if len(names) == 2 and rng.random() < 0.6 else rng.choice(IN_ORDER[len(names)])
        course.phrases = [template.format(*said)]
    course.told_weathers = True
    return course


def _pairs(rng, most):
    """A weather for each of some times of day."""
    n = min(most, rng.choice([2, 2, 3]))
    order = sorted(rng.sample(range(4), n))
    parts = [rng.choice([p for p in DAY_PARTS if p[1] == DAY[i]]) for i in order]
    skies = [rng.choice(WEATHER_NAMES)]
    while len(skies) < n:
        sky = rng.choice(WEATHER_NAMES)
        if sky[1] != skies[-1][1]:
            skies.append(sky)
    form = rng.choice(["{w} {in_t}", "{w} {in_t}", "{t}: {w}", "{in_t} {w}", "{adj} {t}", "a {adj} {t}"])
    names = []
    for part, sky in zip(parts, skies):
        adjective = {"clear": ["sunny", "clear", "bright"], "cloudy": ["cloudy", "grey", "foggy", "misty"],
                     "rain": ["rainy", "stormy", "wet"], "snow": ["snowy", "wintry"]}[sky[1]]
        adj = rng.choice(adjective)
        if part[1] == "night" and sky[1] == "clear":
            adj = rng.choice(["starry", "clear", "moonlit"])
        words = sky[2] if "{w}" in form else {"foggy": "in fog", "misty": "in the mist",
                                              "stormy": "in a storm"}.get(adj)
        names.append((form.format(w=sky[0], t=part[0], in_t=part[2], adj=adj), sky[1], words))
    joined = rng.choice([", ", ", ", " and ", ", then ", "; ", " then "]).join(name[0] for name in names)
    states = [dict(time=part[1], time_words=part[2], weather=name[1], weather_words=name[2])
              for part, name in zip(parts, names)]
    return Course(states, [joined], told_times=True, told_weathers=True)


def _events(rng, most):
    """One thing happens, then another: the weather changes, then the time of day, or the other way round."""
    of_time, of_weather = (rng.choice([e for e in EVENTS if e[k]]) for k in (1, 2))
    (t0, t1), (w0, w1) = of_time[1], of_weather[2]
    first, second = (of_time, of_weather) if rng.random() < 0.5 else (of_weather, of_time)
    middle = (t1, w0) if first is of_time else (t0, w1)
    pairs = [(t0, w0), middle, (t1, w1)] if most > 2 else [(t0, w0), (t1, w1)]
    states = [dict(zip(("weather", "weather_words"), _sky(w))) | dict(time=t) for t, w in pairs]
    link = rng.choice([", then ", " and then ", ", ", " and ", ", after that ", ", later ", ". Then "])
    start = {"rain": rng.choice(["in the rain", "it rains"]), "storm": "in a storm", "snow": rng.choice(
        ["in the snow", "it is snowing"])}.get(w0)
    phrases = ([start] if start and rng.random() < 0.5 else []) + [first[0] + link + second[0]]
    return Course(states, phrases, told_times=True, told_weathers=True)


def _over_by(rng):
    """Bad weather at one time of day that is over at the next."""
    i = rng.choice([2, 3])
    part = rng.choice([p for p in DAY_PARTS if p[1] == DAY[i]])
    then = "dawn" if i == 3 or rng.random() < 0.6 else "night"
    later = rng.choice([p for p in DAY_PARTS if p[1] == then])
    sky = rng.choice([n for n in WEATHER_NAMES if n[1] in ("rain", "snow")])
    phrase = rng.choice(["{w} {t} that is over by {l}", "{w} {t}, {in_l} everything is calm",
                         "{w} {t} that ends {in_l}",
                         "{w} {t}, over {in_l}", "{w} {t}, {in_l} the sun shines", "{w} {t}, calm {in_l}"])
    text = phrase.format(w=sky[0], t=part[2], l=later[0], in_l=later[2])
    return Course([dict(time=part[1], time_words=part[2], weather=sky[1], weather_words=sky[2]),
                   dict(time=later[1], time_words=later[2], weather="clear")], [text],
                   told_times=True, told_weathers=True)


def _timed(rng, seconds):
    clause, times, weathers = rng.choice(EVENTS)
    states = [dict(), dict()]
    for i, state in enumerate(states):
        if times:
            state["time"] = times[i]
        else:
            state["weather"], state["weather_words"] = _sky(weathers[i])
    if seconds < 8 or rng.random() < 0.35:
        return Course(states, [rng.choice(HALF).format(e=clause)], told_times=bool(times), told_weathers=bool(weathers))
    second = rng.choice([n for n in (2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 45, 50) if n < seconds - 1])
    phrase = rng.choice(WHEN).format(n=second, e=clause)
    return Course(states, [phrase], starts=[0, second], told_times=bool(times), told_weathers=bool(weathers))


def _completed(rng, course, most):
    """Gives states what the wish left open: the other of time and weather."""
    missing = "weather" if "weather" not in course.states[0] else "time" if "time" not in course.states[0] else None
    if missing == "weather":
        if rng.random() < 0.22:  # told: all the time, or at one time of day
            weather = rng.choice(list(c.WEATHER_PHRASES))
            at = rng.choice(course.states)["time"] if rng.random() < 0.35 else None
            if at and len({s["time"] for s in course.states}) > 1 and weather != "clear":
                part = rng.choice([p for p in DAY_PARTS if p[1] == at])
                name = rng.choice([n for n in WEATHER_NAMES if n[1] == weather])
                course.phrases.append(rng.choice(["with {0} {1}", "{0} {1}", "{1} there is {0}"]).format(name[0],
                                                                                                         part[2]))
                for state in course.states:
                    state["weather"] = weather if state["time"] == at else "clear"
                    state["weather_words"] = name[2] if state["time"] == at else None
            else:
                form = rng.choice(["adverb", "adverb", "clause", "noun"])
                phrase = rng.choice(c.WEATHER_PHRASES[weather][form])
                course.phrases.insert(rng.randrange(len(course.phrases) + 1) if not course.noun else 1, phrase)
                words = _flavour(phrase, "weather", weather)
                for state in course.states:
                    state["weather"], state["weather_words"] = weather, words
            course.told_weathers = True
            return
        weathers = _untold_weathers(rng)
        if len(course.states) == 1 and rng.random() < 0.6:  # one state told: the weather may change
            weathers = by_rank(rng, [["clear", "cloudy", "rain"], ["clear", "cloudy"], ["cloudy", "clear"],
                                     ["rain", "clear"]])
            weathers = fitted(weathers, most)
            course.states = [dict(course.states[0]) for _ in weathers]
        n = len(course.states)
        for i, state in enumerate(course.states):
            state["weather"] = weathers[min(len(weathers) - 1, i * len(weathers) // n)]
    elif missing == "time":
        n = len(course.states)
        kind = rng.random()
        if kind < 0.25:
            time = rng.choice(DAY)
            form = rng.choice(["adverb", "adverb", "clause", "noun"])
            phrase = rng.choice(c.TIME_PHRASES[time][form])
            course.phrases.insert(rng.randrange(len(course.phrases) + 1), phrase)
            words = _flavour(phrase, "time", time)
            for state in course.states:
                state["time"], state["time_words"] = time, words
            course.told_times = True
        elif kind < 0.70:
            time = weighted(rng, ["day", "dawn", "sunset", "night"], [12, 2, 1, 1])
            for state in course.states:
                state["time"] = time
        else:
            first = weighted(rng, [0, 1, 2, 3], [6, 3, 1, 1])
            for i, state in enumerate(course.states):
                state["time"] = DAY[(first + i * min(4, n) // n) % 4]


def _with_changes(rng, story, most):
    """A journey through landscapes, or another colour or thing in the second half."""
    kind = rng.random()
    time, weather = rng.choice(DAY), rng.choice(["clear", "clear", "cloudy", "rain", "snow"])
    base = dict(time=time, weather=weather)
    if kind < 0.6:
        n = min(most, rng.choice([2, 2, 3, 3, 4]))
        scenes = rng.sample(list(c.SCENE_NOUNS), n)
        if story.actor == "boat" or ("sea" in scenes and story.actor in ("ball", "car", "train")):
            story.told.pop("actor", None)
            story.actor = rng.choice(["bird", "balloon", "kite"])
            story.told.pop("color", None)
            noun = rng.choice(c.ACTOR_NOUNS[story.actor])
            story.actor_word = noun, noun
            story.told["actor"] = story.actor
            story.verb, story.verbing = c.ACTOR_VERBS[story.actor][0]
            story.preposition = "over"
        story.told.pop("scene", None)
        pairs = []
        for scene in scenes:
            pair = rng.choice(c.SCENE_NOUNS[scene][:4])
            pairs.append(pair)
        skies = [{}] * n
        said = [" ".join(w for w in pair if w) if rng.random() < 0.8 else pair[1] for pair in pairs]
        if rng.random() < 0.3:  # each in its weather
            kinds = [rng.choice([("sunny", "clear"), ("rainy", "rain"), ("stormy", "rain"), ("snowy", "snow"),
                                 ("cloudy", "cloudy"), ("foggy", "cloudy"), ("clear", "clear")]) for _ in pairs]
            words = {"stormy": "in a storm", "foggy": "in fog"}
            skies = [dict(weather=w, weather_words=words.get(adjective)) for adjective, w in kinds]
            said = [" ".join(w for w in (rng.choice([article, article, "a"]), adjective, noun) if w)
                    for (article, noun), (adjective, _) in zip(pairs, kinds)]
        template = rng.choice(FROM_TO[:5] if n == 2 and rng.random() < 0.5 else IN_ORDER[n])
        phrase = template.format(*said)
        if not phrase.startswith(("from", "first", "at first", "starts", "to begin")):
            phrase = rng.choice(["through ", "over ", "across ", "", "visits ", "past "]) + phrase
        if n > 2 and rng.random() < 0.2:
            phrase = rng.choice(["around the world", "a trip around the world", "a journey around the world",
                                 "through all landscapes", "through many landscapes", "all over the world"])
        else:
            story.told["scenes"] = scenes
        course = Course([dict(base, change=dict(scene_words=pair)) | sky for pair, sky in zip(pairs, skies)], [phrase],
                        told_weathers=bool(skies[0]))
    elif kind < 0.82 and "color" in story.told:
        other = rng.choice([k for k in c.COLOR_WORDS if k != story.color])
        story.color_word = story.color, story.color
        phrase = rng.choice(["turns {1}", "changes to {1}", "then it turns {1}", "becomes {1}",
                             "changes from {0} to {1}",
                             "and later it is {1}", "changes its colour to {1}", "turning {1} in the end"])
        story.told.pop("color")
        story.told["colors"] = [story.color, other]
        story.told["actor"] = story.actor
        keep = story.color
        course = Course([dict(base), dict(base, change=dict(color=other))],
                        [phrase.format(keep, other)])
        story.told["color"] = keep
    else:
        return None
    time_changes = rng.random() < 0.4
    if time_changes:
        first = rng.randrange(4)
        for i, state in enumerate(course.states):
            state["time"] = DAY[(first + i) % 4]
    elif rng.random() < 0.35:
        phrase = rng.choice(c.TIME_PHRASES[time]["adverb"])
        course.phrases.append(phrase)
        for state in course.states:
            state["time_words"] = _flavour(phrase, "time", time)
        course.told_times = True
    return course


def wished_course(rng, story, most, seconds):
    """What time and weather do. May change what `story` tells."""
    from wish_steps import lasting_course, stepwise_course

    kind = rng.random()
    course = None
    if kind < 0.38:
        course = stepwise_course(rng, most) if kind < 0.355 else lasting_course(rng, seconds)
        if course:
            _completed(rng, course, most)
            return course
    kind = rng.random()
    if kind < 0.30:
        return _static(rng, story, most)
    if kind < 0.36:
        course = _with_changes(rng, story, most)
        if course:
            return course
    if kind < 0.58:
        course = _time_course(rng, most)
    elif kind < 0.82:
        course = _weather_course(rng, most)
    elif kind < 0.85:
        return _pairs(rng, most)
    elif kind < 0.88:
        return _events(rng, most) if rng.random() < 0.7 else _over_by(rng)
    elif kind < 0.94:
        course = _seasons(rng, most)
    elif kind < 0.97:
        course = _timed(rng, seconds)
    else:  # both told, each by itself
        course, other = _time_course(rng, most), _weather_course(rng, most)
        n = min(most, max(len(course.states), len(other.states)))
        times, skies = fitted(course.states, n), _fitted_states(other.states, n)
        course.states = [dict(times[i * len(times) // n]) | skies[i * len(skies) // n] for i in range(n)]
        course.phrases += other.phrases
        course.told_weathers = True
    _completed(rng, course, most)
    first = course.states[0]["weather"]
    if course.told_weathers and not course.adjective and first in ("snow", "rain") and rng.random() < 0.15:
        course.adjective = {"snow": "snowy", "rain": "rainy"}[first]  # as it is in the beginning
    return course


def _fitted_states(states, most):
    if len(states) <= most:
        return states
    return [s for s in states if s["weather"] != "cloudy"][:most]
