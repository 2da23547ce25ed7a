"""Captions for videos of the drawn world, in free word order and with many words for each thing.

`caption` draws one sentence for one clip. A clip's attributes are turned into phrases (noun, adverbial, clause,
adjective), which are put together in one of many orders; words that say nothing, omissions, missing articles and typing
errors are mixed in. What is left unsaid: no weather means clear, no time of day day, no season summer (winter in
snowfall), no camera movement none. Landscape, actor, colours and direction that a sentence leaves open, and the place
that the video begins at, are told in phrases behind it (choices.py).
"""

import re

from tokenizer_words import EVERYDAY_WORDS

# The names of the world's values, in their order there (the world is drawn with torch, captions need none).
SCENES = ["sea", "hills", "desert", "mountains", "city", "forest", "lake", "canyon"]
ACTORS = ["ball", "balloon", "boat", "bird", "car", "train", "kite", "plane", "rabbit", "duck", "lantern"]
COLORS = ["red", "orange", "yellow", "green", "blue", "purple", "pink", "white"]
TIMES = ["dawn", "day", "sunset", "night"]
WEATHER = ["clear", "cloudy", "rain", "snow"]
SEASONS = ["spring", "summer", "autumn", "winter"]
CAMERAS = ["follow", "pan left", "pan right", "zoom in", "zoom out"]

COLOR_WORDS = {
    "red": "red red red red crimson scarlet ruby cherry-red bright-red fire-red vermilion cherry ruby-red tomato-red "
           "blood-red dark-red".split(),
    "orange": "orange orange orange orange tangerine pumpkin apricot bright-orange carrot amber peach rust-orange "
              "mandarin".split(),
    "yellow": "yellow yellow yellow yellow golden lemon canary bright-yellow lemon-yellow gold mustard sunny-yellow "
              "banana-yellow".split(),
    "green": "green green green green emerald lime jade dark-green olive leaf-green mint bright-green grass-green "
             "forest-green moss-green".split(),
    "blue": "blue blue blue blue azure navy cobalt sapphire deep-blue dark-blue royal-blue ultramarine sky-blue "
            "bright-blue navy-blue".split(),
    "purple": "purple purple purple purple violet lilac lavender plum deep-purple mauve amethyst grape indigo "
              "dark-purple".split(),
    "pink": "pink pink pink pink rose rose-pink fuchsia magenta salmon bubblegum light-pink "
            "hot-pink rosy blush".split(),
    "white": "white white white white snow-white ivory pearl cream chalk-white pure-white "
            "pearly milk-white off-white".split(),
}

ACTOR_NOUNS = {
    "ball": ["ball", "ball", "ball", "beach ball", "bouncing ball", "rubber ball", "toy ball", "bouncy ball",
             "round ball", "football", "soccer ball", "sphere"],
    "balloon": ["balloon", "balloon", "hot-air balloon", "hot air balloon", "hot-air balloon", "airship", "air balloon",
                "blimp", "zeppelin", "aerostat", "hot balloon"],
    "boat": ["boat", "boat", "sailing boat", "sailboat", "yacht", "ship", "sailing ship", "dinghy", "vessel",
             "schooner", "sail boat", "sloop"],
    "bird": ["bird", "bird", "bird", "songbird", "sparrow", "swallow", "parrot", "dove", "seagull", "gull", "finch",
             "robin", "birdie", "eagle"],
    "car": ["car", "car", "car", "automobile", "motor car", "auto", "vehicle", "hatchback", "sedan", "taxi", "old car",
            "vintage car"],
    "train": ["train", "train", "train", "steam train", "locomotive", "steam engine", "engine", "steam locomotive",
              "railway engine", "choo-choo train"],
    "kite": ["kite", "kite", "kite", "paper kite", "diamond kite", "kite on a string", "toy kite", "kite with a tail",
             "diamond-shaped kite", "flying kite"],
    "plane": ["plane", "plane", "airplane", "aeroplane", "propeller plane", "biplane", "aircraft", "small plane",
              "old plane", "light aircraft", "sports plane", "double-decker plane"],
    "rabbit": ["rabbit", "rabbit", "rabbit", "bunny", "bunny rabbit", "hare", "little rabbit", "easter bunny", "bunny",
               "wild rabbit"],
    "duck": ["duck", "duck", "duck", "duckling", "rubber duck", "wild duck", "swimming duck", "mallard", "ducky",
             "toy duck"],
    "lantern": ["lantern", "lantern", "paper lantern", "sky lantern", "flying lantern", "floating lantern",
                "glowing lantern", "chinese lantern", "wish lantern", "lampion"],
}

# (third person, -ing)
ACTOR_VERBS = {
    "ball": [("bounces", "bouncing"), ("hops", "hopping"), ("jumps", "jumping"), ("rolls", "rolling"),
             ("leaps", "leaping"), ("springs", "springing"),
             ("goes bouncing", "bouncing up and down"), ("bounces up and down", "bouncing along"),
             ("skips", "skipping"), ("is bouncing", "bouncing")],
    "balloon": [("drifts", "drifting"), ("floats", "floating"), ("flies", "flying"), ("glides", "gliding"),
                ("hovers", "hovering"), ("soars", "soaring"),
                ("sails", "sailing"), ("is floating", "floating"), ("hangs", "hanging"), ("travels", "travelling"),
                ("wanders", "wandering"), ("rises", "rising")],
    "boat": [("sails", "sailing"), ("is sailing", "sailing"), ("glides", "gliding"), ("cruises", "cruising"),
             ("rocks", "rocking"), ("floats", "floating"),
             ("travels", "travelling"), ("bobs", "bobbing"), ("drifts", "drifting"), ("heads out", "heading out"),
             ("rides the waves", "riding the waves")],
    "bird": [("flies", "flying"), ("is flying", "flying"), ("soars", "soaring"), ("glides", "gliding"),
             ("flaps its wings", "flapping its wings"),
             ("wings its way", "winging its way"), ("flutters", "fluttering"), ("swoops", "swooping"),
             ("sails", "sailing"), ("crosses", "crossing")],
    "car": [("drives", "driving"), ("is driving", "driving"), ("rolls", "rolling"), ("cruises", "cruising"),
            ("travels", "travelling"), ("speeds", "speeding"),
            ("goes", "going"), ("motors", "motoring"), ("rides", "riding"), ("races", "racing"), ("passes", "passing"),
            ("moves", "moving")],
    "train": [("rides", "riding"), ("rolls", "rolling"), ("steams", "steaming"), ("chugs", "chugging"),
              ("travels", "travelling"), ("puffs", "puffing"),
              ("runs", "running"), ("rattles", "rattling"), ("goes", "going"), ("passes", "passing"),
              ("is rolling", "rolling"), ("drives", "driving")],
    "kite": [("flies", "flying"), ("is flying", "flying"), ("flutters", "fluttering"), ("dances", "dancing"),
             ("sways", "swaying"), ("soars", "soaring"),
             ("floats", "floating"), ("waves", "waving"), ("hovers", "hovering"), ("glides", "gliding"),
             ("dances in the wind", "dancing in the wind")],
    "plane": [("flies", "flying"), ("is flying", "flying"), ("crosses the sky", "crossing the sky"),
              ("cruises", "cruising"), ("soars", "soaring"), ("glides", "gliding"), ("hums along", "humming along"),
              ("passes", "passing"), ("buzzes along", "buzzing along"), ("heads out", "heading out")],
    "rabbit": [("hops", "hopping"), ("is hopping", "hopping"), ("leaps", "leaping"), ("jumps", "jumping"),
               ("runs", "running"), ("bounds along", "bounding along"), ("scampers", "scampering"),
               ("hurries", "hurrying"), ("skips", "skipping"), ("races", "racing")],
    "duck": [("swims", "swimming"), ("is swimming", "swimming"), ("paddles", "paddling"), ("floats", "floating"),
             ("bobs", "bobbing"), ("glides", "gliding"), ("drifts", "drifting"), ("paddles along", "paddling along"),
             ("travels", "travelling")],
    "lantern": [("floats", "floating"), ("drifts", "drifting"), ("rises", "rising"), ("glows", "glowing"),
                ("hovers", "hovering"), ("sails", "sailing"), ("hangs", "hanging"), ("glides", "gliding"),
                ("is floating", "floating"), ("shines", "shining")],
}
# Verbs for two actors together.
PAIR_VERBS = [("travel side by side", "travelling side by side"), ("travel together", "travelling together"),
              ("move along", "moving along"), ("are on their way", "on their way"), ("go by", "going by"),
              ("pass by", "passing by"), ("keep each other company", "keeping each other company"),
              ("cross", "crossing"), ("appear", "appearing"), ("are together", "side by side"),
              ("race each other", "racing each other"), ("make their way", "making their way"),
              ("share the way", "sharing the way"), ("meet", "meeting"), ("wander", "wandering")]
PAIR_LINKS = ["and", "and", "and", "and", "and", "with", "together with", "next to", "beside", "along with", "plus",
              "accompanied by", "near", "& ", "followed by", "as well as", "behind", "in front of", "above", "below"]
BETWEEN_CLAUSES = [" while ", ", and ", " and ", ". ", "; ", ", ", ", where ", " as ", ", next to it ", ", with it "]

# (article, noun): adjectives go between them
SCENE_NOUNS = {
    "sea": [("the", "sea"), ("the", "sea"), ("the", "ocean"), ("the", "ocean"), ("the", "waves"), ("", "waves"),
            ("the", "water"), ("the", "open sea"), ("the", "open water"),
            ("the", "blue ocean"), ("a", "bay"), ("the", "rolling waves"), ("the", "seaside"), ("the", "blue sea"),
            ("the", "coast"), ("", "islands"),
            ("the", "wide ocean"), ("", "ocean waves"), ("the", "high seas"), ("the", "surf"), ("a", "seascape"),
            ("the", "shore"), ("the", "beach"), ("the", "harbour"), ("a", "lagoon"),
            ("the", "sea shore"), ("the", "coastline"), ("the", "lighthouse"), ("the", "swell")],
    "hills": [("the", "hills"), ("", "hills"), ("", "rolling hills"), ("", "green hills"), ("the", "countryside"),
              ("the", "countryside"), ("a", "meadow"), ("", "meadows"),
              ("the", "fields"), ("", "fields"), ("", "farmland"), ("the", "grassy hills"), ("a", "village"),
              ("", "pastures"), ("the", "country"), ("a", "country road"),
              ("a", "hilly landscape"), ("", "grassland"), ("a", "hillside"), ("the", "farm"), ("a", "rural landscape"),
              ("the", "green fields"), ("", "windmills and cottages"), ("the", "valley"),
              ("the", "pasture"), ("a", "country lane"), ("a", "little village"), ("", "cottages"), ("a", "windmill"),
              ("a", "green valley")],
    "desert": [("the", "desert"), ("the", "desert"), ("a", "desert"), ("", "sand dunes"), ("the", "dunes"),
               ("", "dunes"), ("the", "sand"), ("a", "sandy desert"), ("", "desert dunes"),
               ("the", "pyramids"), ("", "pyramids"), ("the", "wasteland"), ("the", "sands"), ("", "cacti"),
               ("the", "cactus desert"), ("the", "Sahara"), ("a", "desert landscape"),
               ("the", "sandy plain"), ("", "cactuses and pyramids"), ("an", "oasis"),
               ("a", "pyramid"), ("", "sand hills"), ("the", "dry desert"), ("a", "hot desert")],
    "mountains": [("the", "mountains"), ("the", "mountains"), ("", "mountains"), ("", "mountain peaks"),
                  ("the", "peaks"), ("the", "alps"), ("a", "mountain range"), ("", "high mountains"),
                  ("", "tall mountains"), ("an", "alpine valley"), ("the", "summits"), ("", "rocky peaks"),
                  ("the", "highlands"), ("a", "mountain valley"), ("", "jagged peaks"),
                  ("the", "mountain tops"), ("a", "mountain landscape"), ("the", "mountainside"),
                  ("a", "mountain pass"), ("", "rocky mountains"),
                  ("a", "mountain"), ("the", "glacier"), ("an", "alpine meadow"),
                  ("the", "mountain ridge"), ("the", "high peaks"), ("", "peaks and pine trees"), ("", "pine trees")],
    "city": [("the", "city"), ("the", "city"), ("a", "city"), ("the", "town"), ("a", "town"), ("the", "streets"),
             ("", "city streets"), ("the", "skyline"), ("the", "buildings"),
             ("the", "houses"), ("", "downtown"), ("a", "city street"), ("the", "city skyline"), ("", "tall buildings"),
             ("the", "rooftops"), ("an", "urban street"), ("the", "metropolis"),
             ("a", "street"), ("the", "avenue"), ("an", "urban landscape"), ("the", "apartment blocks"),
             ("a", "road with street lamps"),
             ("", "skyscrapers"), ("the", "alley"), ("the", "town square"), ("the", "city traffic"), ("a", "big city"),
             ("the", "boulevard"), ("the", "roofs")],
    "forest": [("the", "forest"), ("the", "forest"), ("a", "forest"), ("the", "woods"), ("the", "woods"),
               ("the", "trees"), ("", "trees"), ("a", "woodland"), ("the", "woodland"),
               ("", "tall trees"), ("a", "grove"), ("the", "treetops"),
               ("", "colourful trees"), ("a", "colorful forest"), ("the", "deep forest"),
               ("a", "forest path"), ("a", "wood"), ("a", "forest clearing"),
               ("the", "jungle"), ("the", "leaves"), ("a", "park"), ("the", "wild wood"), ("an", "old forest")],
    "lake": [("the", "lake"), ("the", "lake"), ("a", "lake"), ("the", "lake"), ("the", "pond"), ("a", "pond"),
             ("a", "mountain lake"), ("the", "still lake"), ("the", "lakeside"), ("a", "quiet lake"),
             ("the", "lake shore"), ("", "still water"), ("", "calm water"), ("the", "reeds"), ("the", "mirror lake"),
             ("a", "forest lake"), ("the", "lake between the mountains"), ("the", "reeds by the lake"),
             ("", "water lilies"), ("an", "alpine lake"), ("the", "calm lake"), ("the", "banks of the lake"),
             ("the", "little lake"), ("a", "smooth lake"), ("the", "lake in the mountains"), ("the", "loch")],
    "canyon": [("the", "canyon"), ("the", "canyon"), ("a", "canyon"), ("the", "red rocks"), ("", "red rocks"),
               ("the", "grand canyon"), ("the", "gorge"), ("a", "rocky gorge"), ("a", "red canyon"),
               ("the", "ravine"), ("", "red cliffs"), ("the", "cliffs"), ("a", "mesa"), ("the", "badlands"),
               ("the", "rock arch"), ("", "rock towers"), ("the", "canyon walls"), ("", "red sandstone"),
               ("the", "sandstone cliffs"), ("the", "wild west"), ("the", "buttes"), ("", "mesas and buttes"),
               ("the", "red rock country"), ("a", "stone arch"), ("the", "rocky canyon"), ("", "monument valley")],
}
PREPOSITIONS = {
    "air": ["over", "over", "above", "across", "high above", "past", "high over", "through the sky over",
            "in the air above", "in front of"],
    "land": ["through", "through", "across", "along", "past", "in", "in front of", "by"],
    "water": ["on", "across", "over", "through", "along", "in"],
}
KIND = {"ball": "land", "balloon": "air", "boat": "water", "bird": "air", "car": "land", "train": "land", "kite": "air",
        "plane": "air", "rabbit": "land", "duck": "water", "lantern": "air"}

# Behind a sentence: what it leaves open, and which of eight places a video begins at.
SCENE_PHRASES = dict(zip(SCENES, ["at sea", "in the hills", "in the desert", "in the mountains", "in the city",
                                  "in the forest", "at the lake", "in the canyon"]))
ACTOR_PHRASES = {actor: f"a {actor}" for actor in ACTORS}
DIRECTION_PHRASES = {"left": "heading left", "right": "heading right"}
# One word for each place of each landscape: places of two landscapes have nothing in common that could be learned of
# "view three" by itself.
VIEW_WORDS = {scene: [f"{scene}{place}" for place in range(1, 9)] for scene in SCENES}
VIEW_PHRASES = {scene: [f"outlook {word}" for word in words] for scene, words in VIEW_WORDS.items()}


def color_phrase(color, other):
    """Of the one actor, or of the first and the second that a sentence names."""
    return f"in {color}, another in {other}"


TIME_PHRASES = {
    "dawn": dict(
        adverb=["at dawn", "at dawn", "at daybreak", "at sunrise", "at sunrise", "in the early morning",
                "early in the morning", "at first light", "as the sun rises", "as day breaks",
                "in the morning light", "in pale morning light", "at the break of day", "in the morning", "at sunup",
                "on an early morning", "while the sun comes up", "in the soft light of dawn", "this morning",
                "one morning", "before breakfast"],
        clause=["the sun is rising", "day is breaking", "it is early morning", "it is dawn", "morning has come",
                "the sky is pink with dawn", "the sun comes up", "a new day begins", "morning breaks"],
        noun=["dawn", "sunrise", "daybreak", "early morning", "first light", "a pink morning sky", "morning",
              "morning glow", "dawn light", "pastel sunrise"],
        adjective=["dawn-lit", "morning", "early-morning", "sunrise"]),
    "day": dict(
        adverb=["by day", "during the day", "in the daytime", "at noon", "at midday", "in broad daylight",
                "in daylight", "in the afternoon", "in the middle of the day", "around noon",
                "on a day out", "in the light of day", "at lunchtime", "under the midday sky", "this afternoon",
                "today", "all day long"],
        clause=["it is daytime", "it is noon", "it is midday", "the day is bright", "it is the middle of the day",
                "it is day", "it is afternoon"],
        noun=["day", "daytime", "noon", "midday", "daylight", "afternoon", "bright day", "full daylight"],
        adjective=["daytime", "midday", "daylit", "noon"]),
    "sunset": dict(
        adverb=["at sunset", "at sunset", "at dusk", "in the evening", "at sundown", "in the evening light",
                "as the sun sets", "as evening falls", "at the end of the day", "at twilight",
                "in the golden hour", "in the glow of the setting sun", "while the sun goes down", "at nightfall",
                "late in the day", "against the sunset", "in the late evening sun", "this evening", "one evening",
                "in the last light"],
        clause=["the sun is setting", "the sun goes down", "evening is falling", "it is evening",
                "the sky is burning orange", "it is sunset", "the day is ending", "dusk has come", "dusk falls"],
        noun=["sunset", "dusk", "evening", "sundown", "evening glow", "twilight", "golden hour", "a fiery evening sky",
              "setting sun", "orange sunset"],
        adjective=["sunset", "evening", "dusky", "twilight"]),
    "night": dict(
        adverb=["at night", "at night", "by night", "at midnight", "in the dark", "in the night",
                "in the middle of the night", "late at night", "after dark", "during the night",
                "on a dark night", "in pitch darkness", "under the moon", "in the dead of night",
                "through the night", "in the darkness", "under the night sky", "under a dark sky",
                "tonight", "one night", "at this late hour"],
        clause=["it is night", "night has fallen", "it is dark", "it is midnight", "the night is dark",
                "darkness has fallen", "the lamps are lit", "night falls", "it is pitch-dark", "everything sleeps",
                "it is late", "the windows are lit"],
        noun=["night", "midnight", "dark night", "nighttime", "night sky", "darkness", "night time", "late night"],
        adjective=["nighttime", "dark", "midnight", "night-time", "nocturnal"]),
}

WEATHER_PHRASES = {
    "clear": dict(
        adverb=["under a clear sky", "under a clear sky", "in clear weather", "in fine weather",
                "beneath a cloudless sky", "in fair weather", "in good weather", "with not a cloud in the sky",
                "without a cloud", "under a bright sky", "in dry weather", "under an open sky", "under clear skies",
                "in nice weather"],
        clause=["the sky is clear", "there are no clouds", "not a cloud in sight", "the weather is fine",
                "the weather is clear", "the sky is cloudless", "the air is clear", "no clouds"],
        noun=["clear sky", "cloudless sky", "fine weather", "clear weather", "clear skies", "fair weather", "no clouds",
              "bright sky", "good weather"],
        adjective=["clear", "cloudless", "bright"]),
    "cloudy": dict(
        adverb=["under a cloudy sky", "under clouds", "beneath big clouds", "under an overcast sky",
                "in cloudy weather", "under a grey sky", "under a gray sky", "with clouds overhead",
                "below fluffy clouds", "on a cloudy day", "among the clouds", "with many clouds in the sky",
                "under drifting clouds", "beneath a blanket of clouds", "in dull weather", "in fog", "in the mist",
                "under a leaden sky", "under thick clouds"],
        clause=["the sky is cloudy", "clouds fill the sky", "clouds are passing", "it is cloudy", "it is overcast",
                "the sky is grey", "the sky is full of clouds", "big clouds hang in the sky",
                "clouds hide the sun", "the weather is cloudy", "clouds drift by"],
        noun=["clouds", "cloudy sky", "overcast sky", "many clouds", "grey clouds", "big white clouds", "grey sky",
              "fluffy clouds", "cloudy weather", "cloud cover", "fog", "mist", "haze", "heavy clouds", "a dull sky"],
        adjective=["cloudy", "overcast", "grey", "cloud-covered", "gloomy", "misty", "foggy", "gray", "dull"]),
    "rain": dict(
        adverb=["in the rain", "in the rain", "in heavy rain", "through the rain", "in pouring rain",
                "under rain clouds", "in a storm", "in a rainstorm", "in rainy weather", "in a downpour",
                "during a shower", "while it rains", "in the drizzle", "on a rainy day", "in wet weather",
                "under dark rain clouds", "in stormy weather", "during a thunderstorm", "in thunder and lightning",
                "under an umbrella sky", "in a heavy shower"],
        clause=["it is raining", "it rains", "rain is falling", "rain pours down", "it is pouring",
                "a storm is passing", "it is raining hard", "raindrops are falling", "the weather is wet",
                "rain falls", "it is rainy", "a heavy shower comes down", "it drizzles", "it is pouring with rain",
                "thunder rolls", "there are puddles everywhere", "the rain does not stop", "it is stormy"],
        noun=["rain", "rain", "heavy rain", "rainy weather", "rainstorm", "storm", "downpour", "falling rain",
              "raindrops", "drizzle", "rain shower", "wet weather", "pouring rain", "thunderstorm", "thunder",
              "puddles", "umbrella weather"],
        adjective=["rainy", "rainy", "wet", "stormy", "rain-soaked", "drenched", "rainswept", "soaked"]),
    "snow": dict(
        adverb=["in the snow", "in the snow", "in falling snow", "through the snow", "in a snowstorm",
                "in snowy weather", "in a snowfall", "while it snows", "among snowflakes", "on a snowy day",
                "in a blizzard", "under falling snowflakes", "in heavy snow", "in a flurry of snow",
                "in driving snow", "through the flakes", "in thick snowfall", "as snow falls"],
        clause=["it is snowing", "it snows", "snow is falling", "snowflakes are falling", "snow falls",
                "snowflakes drift down", "the weather is snowy", "it is snowing hard", "thick flakes are falling",
                "snow comes down", "flakes dance in the air", "a snowstorm rages", "it snows and snows"],
        noun=["snow", "snow", "falling snow", "snowfall", "snowy weather", "snowflakes", "snowstorm", "blizzard",
              "heavy snow", "flurries", "snow shower", "big snowflakes", "driving snow", "snow in the air"],
        adjective=["snowy", "snowy", "snowy", "snow-swept", "snowbound", "blizzardy"]),
}

# Phrases that name time and weather together: (adverbs, clauses, nouns, adjectives)
BOTH_PHRASES = {
    ("night", "clear"): dict(
        adverb=["under the stars", "under a starry sky", "on a starry night", "in the moonlight", "by moonlight",
                "beneath the moon", "under the moon and stars", "on a clear night"],
        clause=["the stars are out", "the moon is shining", "stars twinkle in the sky", "the moon is out",
                "stars fill the sky", "it is a starry night"],
        noun=["starry night", "starry sky", "moonlight", "moon and stars", "moonlit night", "stars", "clear night"],
        adjective=["moonlit", "starlit", "starry"]),
    ("day", "clear"): dict(
        adverb=["on a sunny day", "in bright sunshine", "under a blue sky", "in the sunshine", "under the sun",
                "in the bright sun", "on a beautiful sunny day", "on a bright clear day"],
        clause=["the sun is shining", "it is sunny", "the sky is blue", "the sun is high", "it is a sunny day",
                "the sun shines"],
        noun=["sunny day", "sunshine", "blue sky", "bright sunshine", "sunny weather", "clear blue sky"],
        adjective=["sunny", "sunlit", "sun-drenched"]),
    ("day", "cloudy"): dict(adverb=["on a cloudy day", "on a grey day", "on an overcast day"],
                            clause=["it is a cloudy day"], noun=["cloudy day", "overcast day"],
                            adjective=["cloudy", "grey"]),
    ("day", "rain"): dict(adverb=["on a rainy day", "on a wet day", "on a stormy day"], clause=["it is a rainy day"],
                          noun=["rainy day", "wet afternoon"], adjective=["rainy"]),
    ("day", "snow"): dict(adverb=["on a snowy day", "on a snowy afternoon"],
                          clause=["it is a snowy day"], noun=["snowy day", "snowy noon"], adjective=["snowy"]),
    ("night", "rain"): dict(adverb=["on a rainy night", "on a stormy night", "on a wet night"],
                            clause=["it is a rainy night"], noun=["rainy night", "stormy night"],
                            adjective=["rainy nighttime"]),
    ("night", "snow"): dict(adverb=["on a snowy night", "in a snowy night"], clause=["it is a snowy night"],
                            noun=["snowy night", "night of snow"], adjective=["snowy nighttime"]),
    ("night", "cloudy"): dict(adverb=["on a cloudy night", "on an overcast night"], clause=["it is a cloudy night"],
                              noun=["cloudy night"], adjective=["cloudy nighttime"]),
    ("dawn", "clear"): dict(adverb=["on a clear morning", "at a cloudless dawn"], clause=["the morning is clear"],
                            noun=["clear morning"], adjective=["clear morning"]),
    ("dawn", "cloudy"): dict(adverb=["on a cloudy morning", "on a grey morning"], clause=["the morning is cloudy"],
                             noun=["cloudy morning"], adjective=["cloudy morning"]),
    ("dawn", "rain"): dict(adverb=["on a rainy morning", "on a wet morning"], clause=["the morning is rainy"],
                           noun=["rainy morning"], adjective=["rainy morning"]),
    ("dawn", "snow"): dict(adverb=["on a snowy morning", "in a snowy dawn"], clause=["the morning is snowy"],
                           noun=["snowy morning"], adjective=["snowy morning"]),
    ("sunset", "clear"): dict(adverb=["on a clear evening", "in a cloudless sunset"], clause=["the evening is clear"],
                              noun=["clear evening"], adjective=["clear evening"]),
    ("sunset", "cloudy"): dict(adverb=["on a cloudy evening", "among sunset clouds"], clause=["the evening is cloudy"],
                               noun=["cloudy evening"], adjective=["cloudy evening"]),
    ("sunset", "rain"): dict(adverb=["on a rainy evening", "on a wet evening"], clause=["the evening is rainy"],
                             noun=["rainy evening"], adjective=["rainy evening"]),
    ("sunset", "snow"): dict(adverb=["on a snowy evening", "in a snowy dusk"], clause=["the evening is snowy"],
                             noun=["snowy evening"], adjective=["snowy evening"]),
}

SEASON_PHRASES = {
    "spring": dict(
        adverb=["in spring", "in spring", "in springtime", "on a spring day", "in april", "in may", "in bloom",
                "among the blossoms", "with blossoms everywhere", "when everything blooms", "in early spring",
                "at blossom time", "with petals in the air", "at easter"],
        clause=["it is spring", "spring has come", "everything is in bloom", "the trees are in blossom",
                "the trees are blooming", "petals drift by", "the first flowers are out", "blossoms are everywhere"],
        noun=["spring", "springtime", "blossoms", "spring flowers", "blooming trees", "pink blossom", "fresh green",
              "april", "petals", "cherry blossom"],
        adjective=["spring", "blooming", "springtime", "blossoming", "flowering"]),
    "summer": dict(
        adverb=["in summer", "in summer", "in summertime", "on a summer day", "in july", "in august", "in june",
                "in high summer", "in midsummer", "in the summer heat", "on holiday"],
        clause=["it is summer", "summer has come", "it is midsummer", "it is a warm summer", "everything is green",
                "summer is here"],
        noun=["summer", "summertime", "midsummer", "high summer", "july", "warm summer", "summer heat", "lush green"],
        adjective=["summer", "green", "summery", "midsummer", "lush"]),
    "autumn": dict(
        adverb=["in autumn", "in autumn", "in the fall", "in october", "in november", "on an autumn day",
                "among falling leaves", "with golden leaves", "in late autumn", "as the leaves fall",
                "in the autumn colours", "at harvest", "when the leaves turn", "in september"],
        clause=["it is autumn", "autumn has come", "the leaves are turning", "leaves are falling", "it is fall",
                "the trees are red and gold", "leaves drift down", "the leaves have turned"],
        noun=["autumn", "fall", "autumn leaves", "falling leaves", "golden leaves", "october", "autumn colours",
              "coloured leaves", "red and golden trees", "indian summer"],
        adjective=["autumn", "autumnal", "autumn", "october", "golden-leaved"]),
    "winter": dict(
        adverb=["in winter", "in winter", "in wintertime", "on a winter day", "in january", "in december",
                "in wintry weather", "with snow on the ground", "in the cold winter", "in frost and ice",
                "over frozen ground", "in deep winter", "through snowdrifts",
                "at christmas", "with snow lying all around", "in february"],
        clause=["it is winter", "winter has come", "snow covers the ground", "the ground is covered in snow",
                "everything is white with snow", "fresh snow lies everywhere", "it is cold and white",
                "the trees are bare", "snow lies on the ground", "it is frosty"],
        noun=["winter", "wintertime", "a white winter landscape", "deep snow on the ground", "frost", "bare trees",
              "january", "winter wonderland", "white christmas", "a frozen world", "lying snow", "winter cold",
              "ice and frost"],
        adjective=["winter", "wintry", "frosty", "snow-covered", "snow-clad", "frozen", "icy", "white",
                   "snow covered"]),
}
# Season and time of day together: "on a summer evening".
SEASON_NAMES = {"spring": "spring", "summer": "summer", "autumn": "autumn", "winter": "winter"}
PART_NAMES = {"dawn": ["morning", "dawn", "sunrise"], "day": ["day", "afternoon", "noon"],
              "sunset": ["evening", "sunset", "dusk"], "night": ["night", "midnight"]}

# Ahead of a caption, behind it: the camera's movement.
CAMERA_PHRASES = {
    "pan left": dict(
        before=["pan left", "slow pan to the left", "camera pans left", "the camera pans to the left", "panning left",
                "pan to the left", "the camera turns left", "the camera looks to the left", "left pan", "camera left"],
        after=["the camera pans left", "camera panning left", "while the camera pans to the left", "slow pan left",
               "as the camera turns to the left", "pan to the left", "the camera slowly swings left",
               "the view moves left"]),
    "pan right": dict(
        before=["pan right", "slow pan to the right", "camera pans right", "the camera pans to the right",
                "panning right", "pan to the right", "the camera turns right", "the camera looks to the right",
                "right pan", "camera right"],
        after=["the camera pans right", "camera panning right", "while the camera pans to the right",
               "slow pan right", "as the camera turns to the right", "pan to the right",
               "the camera slowly swings right", "the view moves right"]),
    "zoom in": dict(
        before=["zoom in", "slow zoom in", "slowly zoom in on", "zooming in on", "the camera zooms in on",
                "the camera moves closer to", "zoom in on", "camera zoom in", "push in on", "going closer to",
                "closing in on", "approaching", "the camera comes closer"],
        after=["slow zoom in", "the camera zooms in", "camera zooming in", "zoom in", "as the camera moves closer",
               "while we zoom in", "the camera slowly comes closer", "coming closer", "slow push in",
               "moving in close"]),
    "zoom out": dict(
        before=["zoom out", "slow zoom out", "slowly zoom out from", "zooming out from", "the camera zooms out",
                "zoom out from", "camera zoom out", "pull back from", "pulling back from", "the camera moves away from",
                "backing away from", "the view widens on"],
        after=["slow zoom out", "the camera zooms out", "camera zooming out", "zoom out", "as the camera pulls back",
               "while we zoom out", "the camera slowly moves away", "pulling back", "the view gets wider",
               "slow pull out"]),
}

# What happens when time or weather changes: whole sentences of a second caption that tell only what is new.
CHANGES_TO = {
    "dawn": ["morning comes", "the sun rises", "day breaks", "dawn breaks", "it gets light", "a new morning",
             "the sun comes up", "the night is over", "the first light of day", "a new day begins", "early morning",
             "the sky turns pink", "it dawns", "the next morning", "sunrise comes"],
    "day": ["it is day now", "the sun is high", "noon comes", "full daylight", "broad day", "it is midday",
            "later, around noon", "in the middle of the day", "the day is here", "the afternoon comes",
            "it is bright day", "daytime again", "the morning has passed"],
    "sunset": ["evening comes", "the sun sets", "dusk falls", "the sun goes down", "the day ends", "it is evening now",
               "the sky turns orange", "the light turns golden", "the sun sinks", "twilight comes", "dusk is near",
               "the sky glows red", "the evening sun", "the day is over"],
    "night": ["night falls", "it gets dark", "darkness falls", "night comes", "it is dark now", "it turns pitch-black",
              "the lights come on", "the lamps are lit", "it is night now", "the moon rises", "midnight comes",
              "everything goes dark", "the dark of night", "lights shine in the dark", "late at night, in the dark"],
    "clear": ["the sky clears", "it clears up", "the clouds are gone", "the clouds go away", "not a cloud any more",
              "the weather turns fine", "it is clear again", "fine weather returns", "the last clouds leave",
              "the sky is clear now", "bright skies again", "all clouds have gone", "the sky opens up"],
    "cloudy": ["clouds gather", "clouds move in", "the sky turns grey", "it gets cloudy", "clouds cover the sky",
               "it clouds over", "big clouds arrive", "the sky fills with clouds", "it becomes overcast",
               "mist rises", "it turns foggy", "clouds drift in", "grey clouds pull up", "the weather turns dull"],
    "rain": ["it starts to rain", "rain sets in", "it begins to rain", "rain comes down", "a shower begins",
             "a storm comes up", "the rain begins", "it starts pouring", "drops begin to fall", "a storm breaks out",
             "now it rains", "suddenly rain", "a downpour starts", "umbrellas open", "thunder and rain"],
    "snow": ["it starts to snow", "snow begins to fall", "it begins to snow", "snowflakes begin to fall",
             "the first flakes come down", "snow comes", "now it snows", "a snowstorm comes up", "it starts snowing",
             "thick flakes fall now", "snow sets in", "suddenly snow"],
}
# The same where both the old and the new state matter.
STOPS = {"rain": ["the rain stops", "the rain is over", "it stops raining", "the rain ends", "no more rain",
                  "the storm has passed", "after the rain", "the shower is over", "it no longer rains"],
         "snow": ["it stops snowing", "the snow stops falling", "no more snowflakes", "the snowfall ends",
                  "the snowfall is over", "after the snowfall", "the blizzard has passed"]}
BECOMES = {("night", "clear"): ["the stars come out", "stars fill the sky", "now the moon shines", "a starry sky opens",
                                "moon and stars appear", "it is a starry night now", "starlight everywhere",
                                "the moon comes out", "the sky is full of stars"],
           ("day", "clear"): ["the sun comes out", "the sun breaks through", "sunshine again", "the sun is back",
                              "now the sun shines", "the sun returns", "a blue sky opens", "it turns sunny",
                              "the sky turns blue", "bright sunshine now"],
           ("dawn", "clear"): ["the sun comes out", "a clear morning", "the morning sun shines", "the sun is back"],
           ("sunset", "clear"): ["the sun comes out", "a clear evening", "the evening sun shines", "the sun is back"],
           ("night", "cloudy"): ["clouds hide the moon", "clouds cover the stars", "the stars disappear"],
           ("day", "cloudy"): ["clouds hide the sun", "the sun disappears behind clouds"],
           ("night", "rain"): ["a rainy night begins", "rain in the dark"],
           ("night", "snow"): ["a snowy night begins", "snow in the dark"]}

ANY_VERBS = [("moves", "moving"), ("goes", "going"), ("passes", "passing by"), ("travels", "travelling"),
             ("makes its way", "making its way"), ("appears", "appearing"), ("comes along", "coming along"),
             ("wanders", "wandering"), ("crosses", "crossing"), ("keeps going", "traveling"),
             ("is on its way", "on its way"), ("heads home", "heading home"), ("goes by", "going by"), ("is", "alone"),
             ("went", "being there"), ("passed", "seen"), ("moved along", "in motion"), ("came", "on a journey")]
COLOR_LIKENESS = {"red": ["cherries", "a tomato", "blood", "fire"],
                  "orange": ["an orange", "a pumpkin", "a carrot", "a tangerine"],
                  "yellow": ["lemons", "the sun", "a banana", "butter"],
                  "green": ["grass", "leaves", "an emerald", "a lime"],
                  "blue": ["the sky", "sapphire", "cornflowers", "the deep sea"],
                  "purple": ["grapes", "plums", "violets", "lavender"],
                  "pink": ["roses", "bubblegum", "candy", "a flamingo"], "white": ["milk", "chalk", "snow", "paper"]}
DIRECTION_WORDS = {
    "left": ["to the left", "leftwards", "from right to left", "toward the left", "towards the left", "left",
             "to the west", "moving left", "heading left"],
    "right": ["to the right", "rightwards", "from left to right", "toward the right", "towards the right", "right",
              "to the east", "moving right", "heading right"],
}
SIZE_WORDS = ["little", "big", "small", "large", "lonely", "single", "lovely", "pretty", "shiny", "old", "tiny", "cute",
              "bright", "beautiful", "lone", "huge", "colourful", "nice", "simple"]
ADVERBS = ["slowly", "gently", "peacefully", "quietly", "happily", "calmly", "steadily", "softly", "gracefully",
           "lazily", "merrily", "silently", "smoothly", "endlessly", "by", "along", "alone"]
SCENE_ADJECTIVES = ["beautiful", "calm", "wide", "quiet", "peaceful", "endless", "distant", "vast", "lovely", "silent",
                    "lonely", "pretty", "scenic"]
STYLES = ["cinematic", "paper cut style", "in the style of a paper cut", "flat illustration", "calm mood",
          "high quality", "animated", "beautiful light", "4k", "children's book illustration", "minimalist",
          "soft colours", "gouache painting", "parallax scrolling", "peaceful atmosphere", "storybook style",
          "the camera follows", "camera tracking", "wide shot", "side view", "vector art", "dreamy", "relaxing",
          "like a painting", "wide angle", "in a picture book style", "very detailed", "with warm colours",
          "slow motion", "long take"]
OPENERS = ["a film of", "a video of", "a short film of", "an animation of", "a clip of", "a movie of", "footage of",
           "a scene of", "a picture of", "an illustration of", "a shot of", "a view of", "video of", "film of"]
REQUESTS = ["show me", "draw", "make", "create", "please show", "I want to see", "generate", "I would like", "give me",
            "paint", "let me see", "can you show me", "imagine", "render", "please make a video of",
            "make a film of", "show", "animate", "could you draw", "I'd like to watch", "picture"]
NOW = ["now", "suddenly", "then", "a moment later", "meanwhile", "by now", "after a while", "soon", "next", "later",
       "and then", "at last", "slowly", "hours later", "before long", "little by little"]
THERE = ["there is", "there's", "here is", "we see", "you can see", "we can see", "look at", "one sees", "here comes"]


CHATTER = ["what a view", "I like it", "for my daughter", "and nothing else", "you know", "once upon a time",
           "as if in a dream", "my favourite", "if you can", "that would be nice", "thank you", "just like that",
           "on and on", "for a whole minute", "without end", "all the time", "as far as the eye can see", "how lovely",
           "not far from here", "far away", "on its way home", "as always", "I think", "so to speak",
           "like in a fairy tale", "what a sight", "with nobody around", "all alone", "on a long journey",
           "the world is quiet", "who knows where to", "in no hurry", "why not", "it never stops", "and that is all"]
# Everyday words that do not describe a video. Some captions contain a few of them, so that the model learns to ignore
# them.
TELLING = set("""
    spring summer duck rabbit plane lake lantern zoom pan camera rock rocky cliff blossom april may october january
    airplane apple autumn beach bicycle bike blizzard blue bright brown bus camel cave city clear cliff coastline
    cold cow dark dawn day deer desert dolphin drive duck dusk evening ferry fire fly fog foggy forest frozen garden
    glacier gold golden grass gray green grey harbor harbour hawk helicopter high hill horse hot house ice iceberg
    icy island jungle lake lamp land left light lighthouse lightning lion meadow midnight mist misty moon morning
    motorcycle mountain mud night noon oasis ocean orange owl palm park path penguin pig pirate plain plane pond
    prairie puddle purple raft rail rain rainbow red ridge right river road roof rose sail sand savanna sea seaside
    shark sheep ship shore silver ski skate sky skyscraper snow snowman spaceship square squirrel star station steam
    storm stream street summer sun sunflower sunlight surf swan swim thunder tiger today tonight tower town traffic
    tram tree truck tulip tunnel turtle twinkle umbrella valley van village volcano wagon water waterfall wave
    weather whale wheat white wind winter wood wooden yard yellow black ball balloon boat bird car train kite shadow
    outlook another
    shine spring station field flower floating float engine rocket steep clock east west north south toy zoo wing
    fairy not no none never without
""".split())
NEUTRAL_WORDS = [w for w in EVERYDAY_WORDS if w not in TELLING]


class _Sentence:
    """The attributes of one clip that a caption mentions, and phrases for them.

    labels: scene, time, weather, actor, colour, direction; other: the second actor and its colour."""

    def __init__(self, labels, rng, season=None, other=None):
        self.rng = rng
        self.scene, self.time, self.weather, self.actor, self.color, self.direction = labels
        self.season, self.other, self.two = season, other, other is not None
        verbs = ACTOR_VERBS[self.actor] if self.actor and rng.random() > 0.15 else ANY_VERBS
        if self.two and rng.random() < 0.85:
            verbs = PAIR_VERBS
        self.verb, self.verbing = rng.choice(verbs)

    def chance(self, p):
        return self.rng.random() < p

    def subject(self, article=True):
        """The actors with their colours: "a little red balloon", "a red car and a blue train"."""
        if not self.two:
            return self._thing(self.actor, self.color, article)
        link = self.rng.choice(PAIR_LINKS)
        one, two = (self._thing(*pair, article) for pair in ((self.actor, self.color), self.other))
        return f"{one.rstrip(',')} {link} {two}"

    def _thing(self, actor, color, article=True):
        """One actor with its colour: "a little red balloon", "the balloon, crimson", "one car in blue"."""
        c = self.rng.choice
        noun = c(ACTOR_NOUNS[actor]) if actor else c(["thing", "something", "object", "traveller"])
        size = c(SIZE_WORDS) + " " if self.chance(0.22) else ""
        start = c(["a ", "a ", "a ", "a ", "the ", "one ", "a single ", "my ", "some "]) if article else ""
        if not color:
            return start + size + noun
        name, color = color, c(COLOR_WORDS[color])
        if self.chance(0.6):
            color = color.replace("-", " ")
        form = self.rng.random()
        if self.two and form >= 0.86 and self.chance(0.8):
            form = 0.0  # "which is red" could be either's
        if form < 0.80:
            return f"{start}{size}{color} {noun}" if self.chance(0.8) or not size else f"{start}{color} {size}{noun}"
        if form < 0.86:
            return f"{start}{size}{noun} in {color}"
        if form < 0.91:
            how = c(["which is", "all", "painted", "completely", "coloured", "colored"])
            return f"{start}{size}{noun}, {how} {color},"
        if form < 0.94:
            return f"{start}{size}{noun} that is {color}"
        if form < 0.97:
            likeness = c(COLOR_LIKENESS[name])
            like = c([f"as {name} as", "the colour of", "the color of", f"{name} like"])
            return f"{start}{size}{noun} {like} {likeness}"
        return f"{start}{size}{color} coloured {noun}"

    def place(self, preposition=True, adjectives=()):
        """The landscape, perhaps with adjectives: "over snowy hills"."""
        if not self.scene:
            return " ".join(adjectives[:1]) + (" landscape" if adjectives else "")
        article, noun = self.rng.choice(SCENE_NOUNS[self.scene])
        adjectives = list(adjectives)
        if self.chance(0.15):
            adjectives.insert(self.rng.randrange(len(adjectives) + 1), self.rng.choice(SCENE_ADJECTIVES))
        words = [w for w in [article, *adjectives, noun] if w]
        if adjectives and article in ("a", "an") and self.chance(0.3):
            words[0] = "the"
        if preposition:
            words.insert(0, self.rng.choice(PREPOSITIONS[KIND[self.actor] if self.actor else "air"]))
        return " ".join(words)

    def conditions(self, form, used=()):
        """Phrases of one form ("adverb", "clause", "noun", "adjective") for time and weather, apart from those in
        `used`."""
        time = self.time if "time" not in used else None
        weather = self.weather if "weather" not in used else None
        both = BOTH_PHRASES.get((time, weather)) if time and weather else None
        if both and self.chance(0.30 if weather != "clear" else 0.42):
            return [self.rng.choice(both[form])] + (
                [self.rng.choice(SEASON_PHRASES[self.season][form])] if self.season and "season" not in used else [])
        phrases = [self.rng.choice(t[k][form]) for t, k in ((TIME_PHRASES, time), (WEATHER_PHRASES, weather)) if k]
        if self.season and "season" not in used:
            if time and phrases and self.chance(0.35):
                name, part = SEASON_NAMES[self.season], self.rng.choice(PART_NAMES[self.time])
                joined = {"adverb": f"on a {name} {part}", "clause": f"it is a {name} {part}"}.get(form,
                                                                                                   f"{name} {part}")
                if self.chance(0.5):
                    phrases[0] = joined
                else:
                    phrases.append(joined)
            else:
                phrases.append(self.rng.choice(SEASON_PHRASES[self.season][form]))
        if self.chance(0.4):
            self.rng.shuffle(phrases)
        return phrases

    def adjectives(self):
        """Perhaps a word for the time or the weather to stand before the landscape; and what it names."""
        shares = {"time": 0.18, "weather": 0.34, "season": 0.40}
        kinds = [k for k, share in shares.items() if getattr(self, k) and self.chance(share)]
        if not self.scene:
            return [], []
        words = []
        tables = {"time": TIME_PHRASES, "weather": WEATHER_PHRASES, "season": SEASON_PHRASES}
        for kind in kinds:
            table = tables[kind]
            words.append(self.rng.choice(table[getattr(self, kind)]["adjective"]))
        return words, kinds

    def motion(self, ing):
        words = [self.verbing if ing else self.verb]
        if self.chance(0.22):
            words.insert(1 if self.chance(0.75) else 0, self.rng.choice(ADVERBS))
        if self.direction:
            words.append(self.rng.choice(DIRECTION_WORDS[self.direction]))
        return " ".join(words)


def _join(rng, phrases):
    """One sentence part from several: commas, "and" or nothing between them."""
    text = ""
    for phrase in phrases:
        text += phrase if not text else rng.choice([" ", " ", " ", ", ", ", ", " and ", " - "]) + phrase
    return text


def _plain(s):
    """Subject and verb first, the rest in any order."""
    words, used = s.adjectives()
    rest = [p for p in [s.place(adjectives=words)] if p] + s.conditions("adverb", used)
    if s.chance(0.4):
        s.rng.shuffle(rest)
    return f"{s.subject()} {s.motion(False)} {_join(s.rng, rest)}"


def _fronted(s):
    """What stands around first: "At dawn, over the hills, a red balloon drifts"."""
    words, used = s.adjectives()
    rest = [p for p in [s.place(adjectives=words)] if p] + s.conditions("adverb", used)
    s.rng.shuffle(rest)
    cut = s.rng.randint(1, max(1, len(rest)))
    front, back = rest[:cut], rest[cut:]
    verb = f"{s.subject()} {s.motion(False)}"
    if s.chance(0.12):
        verb = f"{s.verb} {s.subject()}"
    return f"{', '.join(front)}{s.rng.choice([', ', ' ', ', '])}{verb} {_join(s.rng, back)}"


def _noun_phrase(s):
    words, used = s.adjectives()
    rest = [p for p in [s.place(adjectives=words)] if p] + s.conditions("adverb", used)
    if s.chance(0.4):
        s.rng.shuffle(rest)
    motion = s.motion(True) if s.chance(0.8) else s.rng.choice(DIRECTION_WORDS[s.direction]) if s.direction else ""
    return f"{s.subject()} {motion} {_join(s.rng, rest)}"


def _opened(s):
    return f"{s.rng.choice(OPENERS + REQUESTS)} {_noun_phrase(s)}"


def _there(s):
    return f"{s.rng.choice(THERE)} {_noun_phrase(s)}"


def _sentences(s):
    """Two or three sentences in any order."""
    words, used = s.adjectives()
    parts = [f"{s.subject()} {s.motion(False)} {s.place(adjectives=words)}"]
    clauses = s.conditions("clause", used)
    parts += [" and ".join(clauses)] if s.chance(0.5) and clauses else clauses
    if s.chance(0.45):
        s.rng.shuffle(parts)
    return s.rng.choice([". ", ". ", ", ", "; ", " and ", ", while ", ". "]).join(parts)


def _scene_first(s):
    """The landscape as the subject: "Snowy hills at dawn, with a red balloon drifting by"."""
    words, used = s.adjectives()
    place = s.place(preposition=False, adjectives=words)
    around = s.conditions("adverb" if s.chance(0.6) else "noun", used)
    link = s.rng.choice([" with ", ", ", ", with ", " and ", ". ", " where ", ", where ", ": ", " as ", ", in it "])
    actor = f"{s.subject()} {s.motion(link not in (' where ', ', where ', ' as '))}"
    joined = _join(s.rng, [p for p in [place, *around] if p])
    return joined + (link if joined else "") + actor


def _conditions_first(s):
    """Time and weather as sentences of their own, then the rest."""
    words, used = s.adjectives()
    clauses = s.conditions(s.rng.choice(["clause", "noun"]), used)
    s.rng.shuffle(clauses)
    rest = f"{s.subject()} {s.motion(s.chance(0.3))} {s.place(adjectives=words)}"
    return s.rng.choice([", ", " and ", ". ", "; ", " as ", " - ", ": ", ". "]).join(
        [s.rng.choice([", ", " and "]).join(clauses), rest]) if clauses else rest


def _fragments(s):
    """Noun phrases separated by commas, in any order."""
    parts = [s.subject(article=s.chance(0.4)), s.place(preposition=s.chance(0.15)), *s.conditions("noun")]
    if s.chance(0.5):
        parts.append(s.motion(True))
    s.rng.shuffle(parts)
    return s.rng.choice([", ", ", ", ", ", " ", "; ", " / ", " | ", ". ", " + "]).join(p for p in parts if p)


def _compound(s):
    """Conditions as words before the noun: "rainy night city, blue car"."""
    tables = ((TIME_PHRASES, s.time), (WEATHER_PHRASES, s.weather), (SEASON_PHRASES, s.season))
    words = [s.rng.choice(t[k]["adjective"]) for t, k in tables if k]
    s.rng.shuffle(words)
    place = s.place(preposition=False, adjectives=words) if s.scene else " ".join(words)
    parts = [place, f"{s.subject(article=s.chance(0.5))}{' ' + s.motion(True) if s.chance(0.5) else ''}"]
    s.rng.shuffle(parts)
    return s.rng.choice([", ", " ", " with ", ": ", " and "]).join(parts)


def _two_clauses(s):
    """Each of two actors in a clause of its own: "a red car drives along while a blue balloon floats by"."""
    if not s.two:
        return _plain(s)
    words, used = s.adjectives()
    clauses = []
    for actor, color in ((s.actor, s.color), s.other):
        verbs = ACTOR_VERBS[actor] if actor else ANY_VERBS
        clauses.append([s._thing(actor, color).rstrip(","), s.rng.choice(verbs)[s.chance(0.3)]])
    clauses[s.rng.randrange(2)].append(s.place(adjectives=words))
    if s.direction:
        clauses[s.rng.randrange(2)].append(s.rng.choice(DIRECTION_WORDS[s.direction]))
    text = s.rng.choice(BETWEEN_CLAUSES).join(" ".join(clause) for clause in clauses)
    rest = s.conditions("adverb", used)
    return f"{_join(s.rng, rest)}, {text}" if rest and s.chance(0.35) else f"{text} {_join(s.rng, rest)}"


def _no_actor(s):
    """Landscape and conditions alone: "A rainy night in the woods"."""
    words, used = s.adjectives()
    parts = s.conditions(s.rng.choice(["adverb", "noun", "noun"]), used)
    parts.insert(s.rng.randrange(len(parts) + 1), s.place(s.chance(0.6), words))
    text = _join(s.rng, [p for p in parts if p]) or s.rng.choice(["anything", "something nice", "a short film"])
    return f"{s.rng.choice(OPENERS)} {text}" if s.chance(0.2) else text


_FORMS = [(_plain, 26), (_fronted, 14), (_opened, 14), (_there, 6), (_sentences, 13), (_scene_first, 11),
          (_conditions_first, 8), (_fragments, 10), (_compound, 6), (_noun_phrase, 8)]


def _mentioned(params, rng, second):
    """What this caption's sentence states: labels of _Sentence, season, second actor with its colour, camera; None
    where it leaves one out."""
    time = TIMES[params["time2" if second else "time"]]
    weather = WEATHER[params["weather2" if second else "weather"]]
    scene, actor, color = SCENES[params["scene"]], ACTORS[params["actor"]], COLORS[params["color"]]
    season, camera = SEASONS[params["season"]], CAMERAS[params["camera"]]
    two = params["actor2"] < len(ACTORS)
    other = [ACTORS[params["actor2"]], COLORS[params["color2"]]] if two else None
    direction = ["left", "right"][params["direction"]] if rng.random() < 0.62 else None
    season_unsaid = {"summer": 0.60, "winter": 0.75 if weather == "snow" else 0.0}.get(season, 0.0)
    if weather == "clear" and rng.random() < 0.16:
        weather = None
    if time == "day" and rng.random() < 0.22:
        time = None
    if rng.random() < (0.75 if second else season_unsaid):
        season = None
    if rng.random() < 0.10:
        color = None
        if other:
            other[1] = None  # phrases tell both colours or none
    if rng.random() < 0.06:
        scene = None
    if rng.random() < 0.06 and not two:
        actor = None
        if rng.random() < 0.7:
            color = None
    if second and rng.random() < 0.6:
        camera = None
    return (scene, time, weather, actor, color, direction), season, other, camera


def _told_behind(params, labels, other, rng, alone, complete):
    """Phrases for what a sentence leaves open. alone: it tells no more than a change, and every video's phrases may
    stand behind it; complete: all of them do."""
    scene, _, _, actor, color, direction = labels
    colors = {ACTORS[params["actor"]]: COLORS[params["color"]]}
    if other:
        colors[ACTORS[params["actor2"]]] = COLORS[params["color2"]]
    named = list(colors) if alone or not other or actor == ACTORS[params["actor"]] else list(colors)[::-1]
    first = colors[named[0]]
    second = colors[named[1]] if other else rng.choice([name for name in COLORS if name != first])
    phrases = [(scene, SCENE_PHRASES[SCENES[params["scene"]]]),
               (actor, ACTOR_PHRASES[ACTORS[params["actor"]]] if not other else None),
               (color, color_phrase(first, second)),
               (direction, DIRECTION_PHRASES[["left", "right"][params["direction"]]])]
    kept = [phrase for told, phrase in phrases if not told and phrase and (complete or rng.random() < 0.97)]
    if alone and not complete:
        kept = [phrase for phrase in kept if rng.random() < (0.6 if phrase == phrases[3][1] else 0.15)]
    return kept + [VIEW_PHRASES[SCENES[params["scene"]]][params["start"]]] * (complete or rng.random() < 0.96)


def _ordered(labels, other, rng):
    """Two actors are named in either order."""
    if other is None or rng.random() < 0.5:
        return labels, other
    scene, time, weather, actor, color, direction = labels
    return (scene, time, weather, *other, direction), [actor, color]


def _change_alone(params, rng):
    """A second caption that tells only what changes, perhaps with the place or the actor."""
    old, new = (tuple(names[params[key + k]] for key, names in (("time", TIMES), ("weather", WEATHER)))
                for k in ("", "2"))
    changed = [b for a, b in zip(old, new) if a != b] or [rng.choice(new)]
    phrases = [rng.choice(CHANGES_TO[value]) for value in changed]
    if new[1] in changed and old[1] in STOPS and old[1] != new[1] and rng.random() < 0.6:
        stop = rng.choice(STOPS[old[1]])
        phrases = [p for p, value in zip(phrases, changed) if value != new[1]] + [stop] * (new[1] == "clear") or [stop]
        if new[1] != "clear":
            phrases.append(rng.choice(CHANGES_TO[new[1]]))
    if new in BECOMES and new[1] in changed and rng.random() < 0.5:
        phrases[-1] = rng.choice(BECOMES[new])
    elif len(changed) == 2 and rng.random() < 0.3 and new in BOTH_PHRASES:
        phrases = [rng.choice(BOTH_PHRASES[new]["clause"])]
    rng.shuffle(phrases)
    text = rng.choice([" and ", ", ", ", and ", ". ", "; "]).join(phrases)
    labels = (SCENES[params["scene"]], None, None, ACTORS[params["actor"]], COLORS[params["color"]], None)
    s = _Sentence(labels, rng)
    if rng.random() < 0.45:
        article, noun = rng.choice(SCENE_NOUNS[s.scene])
        place = " ".join(w for w in (rng.choice(["over", "above", "in", "at", "by"]), article, noun) if w)
        text = f"{text} {place}" if rng.random() < 0.75 else f"{place}, {text}"
    if rng.random() < 0.25:
        text = f"{text}{rng.choice([', ', ' and ', ' as ', '. '])}{s.subject()} {s.motion(False)}"
    return text


def appended(text, phrase):
    """As the program appends a phrase to a prompt (render/choices.cpp)."""
    return f"{text.rstrip(' .,;:!?')}, {phrase}"


def _tidy(text):
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"\s*,(\s*[,;.:])*\s*", ", ", text)
    text = re.sub(r"\s+([.;:])", r"\1", text).strip(" ,;:-")
    text = re.sub(r"\b([Aa]) (?=[aeiouAEIOU](?!ni|ne))", r"\1n ", text)
    return re.sub(r"\b([Aa])n (?=[^aeiouAEIOUhH])", r"\1 ", text)


def _misspell(text, rng):
    """One typing error: two letters swapped, one lost, doubled or replaced."""
    words = text.split(" ")
    long = [i for i, w in enumerate(words) if len(w) >= 4 and w.isalpha()]
    if not long:
        return text
    i = rng.choice(long)
    w, k, kind = words[i], rng.randrange(1, len(words[i]) - 1), rng.randrange(4)
    words[i] = [w[:k] + w[k + 1] + w[k] + w[k + 2 :], w[:k] + w[k + 1 :], w[:k] + w[k] + w[k:],
                w[:k] + rng.choice("aeiourstln") + w[k + 1 :]][kind]
    return " ".join(words)


def _strew(text, rng):
    """Words and phrases that mean nothing, anywhere in the text."""
    if rng.random() < 0.4:
        phrase = rng.choice(CHATTER)
        return rng.choice([f"{phrase}, {text}", f"{text}, {phrase}", f"{text}. {phrase}", f"{text} {phrase}"])
    words = text.split(" ")
    for _ in range(rng.choice([1, 1, 2, 2, 3, 5])):
        words.insert(rng.randrange(len(words) + 1), rng.choice(NEUTRAL_WORDS))
    return " ".join(words)


def _with_camera(text, camera, rng):
    """The text with the movement of the camera before or behind it."""
    if camera not in CAMERA_PHRASES:
        return text
    if rng.random() < 0.5:
        phrase = rng.choice(CAMERA_PHRASES[camera]["before"])
        joint = " " if phrase.split()[-1] in ("on", "from", "to", "approaching") else rng.choice([": ", ", ", ". ",
                                                                                                  " - "])
        return f"{phrase}{joint}{text}"
    return f"{text}{rng.choice([', ', '. ', ', ', '; '])}{rng.choice(CAMERA_PHRASES[camera]['after'])}"


def caption(params, rng, second=False, complete=False):
    """One sentence or two for a clip, and phrases for what they leave open. params: its integers; rng: random.Random;
    second: describe the state after the change; complete: no phrase is left out, so that the caption tells all."""
    labels, season, other, camera = _mentioned(params, rng, second)
    labels, other = _ordered(labels, other, rng)
    alone = second and not complete and rng.random() < 0.40
    if alone:
        text = _change_alone(params, rng)
        labels = (None,) * 6
    else:
        nobody = labels[3] is None and labels[4] is None
        forms = [(_no_actor, 1)] if nobody else [(_two_clauses, 34), *_FORMS] if other else _FORMS
        form = rng.choices([f for f, _ in forms], [w for _, w in forms])[0]
        text = form(_Sentence(labels, rng, season, other))
        if labels[5] and not re.search(rf"\b({'|'.join(DIRECTION_WORDS[labels[5]])})\b", text):
            labels = (*labels[:5], None)  # some forms do not always say it
        text = _with_camera(text, camera, rng)
    if second and rng.random() < 0.25:
        text = f"{rng.choice(NOW)}{rng.choice([', ', ' '])}{text}"
    if rng.random() < 0.16:
        style = rng.choice(STYLES)
        text = f"{text}, {style}" if rng.random() < 0.7 else f"{style}, {text}"
    text = _tidy(_strew(text, rng) if rng.random() < 0.22 else text)
    if rng.random() < 0.06:
        text = re.sub(r"\b(a|an|the) ", "", text)
    if rng.random() < 0.05:
        text = _misspell(text, rng)
    if rng.random() < 0.12:
        text = " ".join(w for w in re.sub(r"[^\w\s-]", "", text).split() if w != "-")
    if rng.random() < 0.45:
        text = text[:1].upper() + text[1:] + ("" if text.endswith(".") else rng.choice([".", ".", ".", "", "!"]))
    for phrase in _told_behind(params, labels, other, rng, alone, complete):
        text = appended(text, phrase)
    return text
