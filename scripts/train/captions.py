"""Captions for videos of the drawn world, in free word order and with many words for each thing.

`caption` draws one sentence for one clip. A clip's attributes are turned into phrases (noun, adverbial, clause,
adjective), which are put together in one of many orders; words that say nothing, omissions, missing articles and typing
errors are mixed in. What is left unsaid: no weather means clear or cloudy, no time of day mostly means day, no colour
means any.
"""

import re

from tokenizer_words import EVERYDAY_WORDS
from world_actors import ACTORS, COLORS
from world_scenes import SCENES
from world_sky import TIMES, WEATHER

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
}

# (article, noun): adjectives go between them
SCENE_NOUNS = {
    "sea": [("the", "sea"), ("the", "sea"), ("the", "ocean"), ("the", "ocean"), ("the", "waves"), ("", "waves"),
            ("the", "water"), ("the", "open sea"), ("the", "open water"),
            ("the", "blue ocean"), ("a", "bay"), ("the", "rolling waves"), ("the", "seaside"), ("the", "blue sea"),
            ("the", "coast"), ("", "islands"),
            ("the", "wide ocean"), ("", "ocean waves"), ("the", "high seas"), ("the", "surf"), ("a", "seascape"),
            ("the", "shore"), ("the", "beach"), ("the", "harbour"), ("a", "lagoon"), ("a", "lake"),
            ("the", "sea shore"), ("the", "coastline"),
            ("", "calm water"), ("the", "lighthouse"), ("the", "swell")],
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
               ("the", "sandy plain"), ("", "cactuses and pyramids"), ("the", "badlands"), ("an", "oasis"),
               ("a", "pyramid"), ("", "sand hills"), ("a", "mesa"), ("the", "dry desert"), ("a", "hot desert")],
    "mountains": [("the", "mountains"), ("the", "mountains"), ("", "mountains"), ("", "mountain peaks"),
                  ("the", "peaks"), ("the", "alps"), ("a", "mountain range"), ("", "high mountains"),
                  ("", "tall mountains"), ("an", "alpine valley"), ("the", "summits"), ("", "rocky peaks"),
                  ("the", "highlands"), ("a", "mountain valley"), ("", "jagged peaks"),
                  ("the", "mountain tops"), ("a", "mountain landscape"), ("the", "mountainside"),
                  ("a", "mountain pass"), ("", "rocky mountains"),
                  ("the", "cliffs"), ("a", "mountain"), ("the", "glacier"), ("an", "alpine meadow"),
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
               ("", "tall trees"), ("an", "autumn forest"), ("a", "grove"), ("the", "treetops"),
               ("", "colourful trees"), ("a", "colorful forest"), ("the", "deep forest"),
               ("a", "forest path"), ("", "autumn trees"), ("a", "wood"), ("a", "forest clearing"),
               ("the", "jungle"), ("the", "leaves"), ("a", "park"), ("the", "wild wood"), ("an", "old forest")],
}
PREPOSITIONS = {
    "air": ["over", "over", "above", "across", "high above", "past", "high over", "through the sky over",
            "in the air above", "in front of"],
    "land": ["through", "through", "across", "along", "past", "in", "in front of", "by"],
    "water": ["on", "across", "over", "through", "along", "in"],
}
KIND = {"ball": "land", "balloon": "air", "boat": "water", "bird": "air", "car": "land", "train": "land", "kite": "air"}

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
                "on a dark night", "through the night", "in the darkness", "under the night sky", "under a dark sky",
                "tonight", "one night", "at this late hour"],
        clause=["it is night", "night has fallen", "it is dark", "it is midnight", "the night is dark",
                "darkness has fallen", "the lamps are lit", "night falls"],
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
        adverb=["in the snow", "in the snow", "in falling snow", "through the snow", "in a snowstorm", "in winter",
                "in snowy weather", "in a snowfall", "while it snows", "among snowflakes",
                "on a snowy day", "in a blizzard", "in the winter snow", "with snow on the ground", "in wintry weather",
                "under falling snowflakes", "on a winter day", "in frost and snow", "in the cold winter",
                "through snowdrifts", "at christmas"],
        clause=["it is snowing", "it snows", "snow is falling", "snowflakes are falling",
                "everything is white with snow", "it is winter", "snow covers the ground", "snow falls",
                "the ground is covered in snow", "snowflakes drift down", "the weather is snowy",
                "fresh snow lies everywhere", "winter has come", "it is cold and white", "ice and snow everywhere"],
        noun=["snow", "snow", "falling snow", "snowfall", "snowy weather", "snowflakes", "winter", "snowstorm",
              "fresh snow", "blizzard", "winter weather", "a white winter landscape", "snowdrifts", "frost",
              "ice and snow", "deep snow", "white christmas", "winter wonderland"],
        adjective=["snowy", "snowy", "snowy", "snow-covered", "wintry", "frosty", "snow-clad", "frozen", "winter",
                   "white", "icy", "snow covered", "snowbound"]),
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
    ("day", "snow"): dict(adverb=["on a snowy day", "on a winter day", "on a cold winter afternoon"],
                          clause=["it is a snowy day"], noun=["snowy day", "winter day"], adjective=["snowy"]),
    ("night", "rain"): dict(adverb=["on a rainy night", "on a stormy night", "on a wet night"],
                            clause=["it is a rainy night"], noun=["rainy night", "stormy night"],
                            adjective=["rainy nighttime"]),
    ("night", "snow"): dict(adverb=["on a snowy night", "on a winter night"], clause=["it is a snowy night"],
                            noun=["snowy night", "winter night"], adjective=["snowy nighttime"]),
    ("night", "cloudy"): dict(adverb=["on a cloudy night", "on an overcast night"], clause=["it is a cloudy night"],
                              noun=["cloudy night"], adjective=["cloudy nighttime"]),
    ("dawn", "clear"): dict(adverb=["on a clear morning", "at a cloudless dawn"], clause=["the morning is clear"],
                            noun=["clear morning"], adjective=["clear morning"]),
    ("dawn", "cloudy"): dict(adverb=["on a cloudy morning", "on a grey morning"], clause=["the morning is cloudy"],
                             noun=["cloudy morning"], adjective=["cloudy morning"]),
    ("dawn", "rain"): dict(adverb=["on a rainy morning", "on a wet morning"], clause=["the morning is rainy"],
                           noun=["rainy morning"], adjective=["rainy morning"]),
    ("dawn", "snow"): dict(adverb=["on a snowy morning", "on a winter morning"], clause=["the morning is snowy"],
                           noun=["snowy morning"], adjective=["snowy morning"]),
    ("sunset", "clear"): dict(adverb=["on a clear evening", "in a cloudless sunset"], clause=["the evening is clear"],
                              noun=["clear evening"], adjective=["clear evening"]),
    ("sunset", "cloudy"): dict(adverb=["on a cloudy evening", "among sunset clouds"], clause=["the evening is cloudy"],
                               noun=["cloudy evening"], adjective=["cloudy evening"]),
    ("sunset", "rain"): dict(adverb=["on a rainy evening", "on a wet evening"], clause=["the evening is rainy"],
                             noun=["rainy evening"], adjective=["rainy evening"]),
    ("sunset", "snow"): dict(adverb=["on a snowy evening", "on a winter evening"], clause=["the evening is snowy"],
                             noun=["snowy evening"], adjective=["snowy evening"]),
}

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
NOW = ["now", "suddenly", "then", "a moment later", "meanwhile", "by now", "after a while", "soon", "next"]
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
    shine spring station field flower floating float engine rocket steep clock east west north south toy zoo wing
    fairy not no none never without
""".split())
NEUTRAL_WORDS = [w for w in EVERYDAY_WORDS if w not in TELLING]


class _Sentence:
    """The attributes of one clip that a caption mentions, and phrases for them."""

    def __init__(self, labels, rng):
        self.rng = rng
        self.scene, self.time, self.weather, self.actor, self.color, self.direction = labels
        self.verb, self.verbing = rng.choice(ACTOR_VERBS[self.actor] if self.actor and rng.random() > 0.15
                                             else ANY_VERBS)

    def chance(self, p):
        return self.rng.random() < p

    def subject(self, article=True):
        """The actor with its colour: "a little red balloon", "the balloon, crimson", "one car in blue"."""
        c = self.rng.choice
        noun = c(ACTOR_NOUNS[self.actor]) if self.actor else c(["thing", "something", "object", "traveller"])
        size = c(SIZE_WORDS) + " " if self.chance(0.22) else ""
        start = c(["a ", "a ", "a ", "a ", "the ", "one ", "a single ", "my ", "some "]) if article else ""
        if not self.color:
            return start + size + noun
        color = c(COLOR_WORDS[self.color])
        if self.chance(0.6):
            color = color.replace("-", " ")
        form = self.rng.random()
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
            likeness = c(COLOR_LIKENESS[self.color])
            like = c([f"as {self.color} as", "the colour of", "the color of", f"{self.color} like"])
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
            return [self.rng.choice(both[form])]
        phrases = [self.rng.choice(t[k][form]) for t, k in ((TIME_PHRASES, time), (WEATHER_PHRASES, weather)) if k]
        if self.chance(0.4):
            phrases.reverse()
        return phrases

    def adjectives(self):
        """Perhaps a word for the time or the weather to stand before the landscape; and what it names."""
        kinds = [k for k in ("time", "weather") if getattr(self, k) and self.chance(0.18 if k == "time" else 0.38)]
        if not self.scene:
            return [], []
        words = []
        for kind in kinds:
            table = TIME_PHRASES if kind == "time" else WEATHER_PHRASES
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
    words = [s.rng.choice(t[k]["adjective"]) for t, k in ((TIME_PHRASES, s.time), (WEATHER_PHRASES, s.weather)) if k]
    s.rng.shuffle(words)
    place = s.place(preposition=False, adjectives=words) if s.scene else " ".join(words)
    parts = [place, f"{s.subject(article=s.chance(0.5))}{' ' + s.motion(True) if s.chance(0.5) else ''}"]
    s.rng.shuffle(parts)
    return s.rng.choice([", ", " ", " with ", ": ", " and "]).join(parts)


_FORMS = [(_plain, 26), (_fronted, 14), (_opened, 14), (_there, 6), (_sentences, 13), (_scene_first, 11),
          (_conditions_first, 8), (_fragments, 10), (_compound, 6), (_noun_phrase, 8)]


def _mentioned(params, rng, second, complete):
    """Names of the attributes that this caption states; None where it leaves one out. A complete caption leaves
    out the direction at most."""
    time = TIMES[params["time2" if second else "time"]]
    weather = WEATHER[params["weather2" if second else "weather"]]
    scene, actor, color = SCENES[params["scene"]], ACTORS[params["actor"]], COLORS[params["color"]]
    direction = ["left", "right"][params["direction"]] if rng.random() < 0.62 else None
    if complete:
        return scene, time, weather, actor, color, direction
    silent = {"clear": 0.16, "cloudy": 0.08}
    if rng.random() < silent.get(weather, 0.0):
        weather = None
    if rng.random() < (0.22 if time == "day" else 0.015):
        time = None
    if rng.random() < 0.05:
        color = None
    if rng.random() < 0.03:
        scene = None
    elif rng.random() < 0.01:
        actor = None
    return scene, time, weather, actor, color, direction


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


def caption(params, rng, second=False, complete=False):
    """One sentence or two for a clip. params: its integers; rng: random.Random; second: describe the state after the
    change; complete: leave out nothing but, now and then, the direction."""
    s = _Sentence(_mentioned(params, rng, second, complete), rng)
    form = rng.choices([f for f, _ in _FORMS], [w for _, w in _FORMS])[0]
    text = form(s)
    if second and rng.random() < 0.15:
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
    return text


# Sentences as people write them, none from the grammar above; never used in training.
# (text, scene, time, weather, actor, color); None where the sentence leaves it open.
_HELD_OUT = [
    ("a red balloon drifts over snowy hills at dawn", "hills", "dawn", "snow", "balloon", "red"),
    ("Rain hammers the rooftops tonight, and still the yellow taxi keeps going.", "city", "night", "rain", "car",
     "yellow"),
    ("my daughter's pink kite way up above the beach at noon, not one cloud", "sea", "day", "clear", "kite", "pink"),
    ("The old white sailing ship left the harbour before breakfast, just as the sun came up.", "sea", "dawn", None,
     "boat", "white"),
    ("snow everywhere, pine trees, big peaks, and a little green locomotive puffing through it all at midnight",
     "mountains", "night", "snow", "train", "green"),
    ("a purple bird crossing the sahara while the sun goes down", "desert", "sunset", None, "bird", "purple"),
    ("Somebody dropped an orange ball in the forest and it will not stop bouncing, even in this downpour!", "forest",
     None, "rain", "ball", "orange"),
    ("blue car, empty desert road, stars", "desert", "night", "clear", "car", "blue"),
    ("It's a grey old day on the ocean and a hot air balloon, bright yellow, is hanging over the swell", "sea", "day",
     "cloudy", "balloon", "yellow"),
    ("Evening traffic: one lonely red car between tall buildings, the sky on fire", "city", "sunset", None, "car",
     "red"),
    ("winter came to the village and a blue train rolled past the white fields one morning", "hills", "dawn", "snow",
     "train", "blue"),
    ("A green parrot flaps home through the woods in thick falling snow", "forest", None, "snow", "bird", "green"),
    ("I dreamed of a white balloon above dunes, the moon was shining", "desert", "night", "clear", "balloon", "white"),
    ("the mountains in the rain, early, hardly any light yet, and an orange bird on its way somewhere", "mountains",
     "dawn", "rain", "bird", "orange"),
    ("purple yacht on a stormy sea at dusk", "sea", "sunset", "rain", "boat", "purple"),
    ("Look, a pink train! It goes by the pyramids in blazing sunshine.", "desert", "day", "clear", "train", "pink"),
    ("skyline after midnight with snowflakes and a red kite on the wind", "city", "night", "snow", "kite", "red"),
    ("There was a ball, green as grass, hopping over the country lane under heavy clouds at noon.", "hills", "day",
     "cloudy", "ball", "green"),
    ("sunrise in the alps. not a cloud. a yellow kite", "mountains", "dawn", "clear", "kite", "yellow"),
    ("a boat. a red one. on the sea. raining cats and dogs.", "sea", None, "rain", "boat", "red"),
    ("Autumn wood in the last light of the evening with a white car driving by", "forest", "sunset", None, "car",
     "white"),
    ("orange zeppelin over downtown around lunchtime, overcast", "city", "day", "cloudy", "balloon", "orange"),
    ("Could I get a film where a blue ball jumps along a snowed-in street by night?", "city", "night", "snow", "ball",
     "blue"),
    ("clouds, clouds, clouds, a pink dove and the wide dark sea at night", "sea", "night", "cloudy", "bird", "pink"),
    ("The desert has turned white; snow keeps coming down on a purple train this afternoon", "desert", "day", "snow",
     "train", "purple"),
    ("green hot-air balloon + mountains + golden evening + clear sky", "mountains", "sunset", "clear", "balloon",
     "green"),
    ("first light, wet meadows, it pours, and a white kite is up there all the same", "hills", "dawn", "rain", "kite",
     "white"),
    ("In the starlit forest a crimson train travels on and on", "forest", "night", "clear", "train", "red"),
    ("yellow bird above rolling farmland, the sun just gone, heavy cloud cover", "hills", "sunset", "cloudy", "bird",
     "yellow"),
    ("An emerald sailboat under a blue sky", "sea", "day", "clear", "boat", "green"),
    ("what a storm tonight, and that poor blue bird is still out over the dunes", "desert", "night", "rain", "bird",
     "blue"),
    ("kids' ball, purple, on a sunny street downtown", "city", "day", "clear", "ball", "purple"),
    ("A rose-coloured hot air balloon rises with the sun, mountains all around, fresh snow", "mountains", "dawn",
     "snow", "balloon", "pink"),
    ("Grey evening in the woods; a violet kite tugs on its string.", "forest", "sunset", "cloudy", "kite", "purple"),
    ("white car, mountain pass, wet road, midday", "mountains", "day", "rain", "car", "white"),
    ("the train is orange, the hills are dark, the night is cloudy", "hills", "night", "cloudy", "train", "orange"),
    ("At the crack of dawn an orange boat slips over calm water beneath a few clouds too many", "sea", "dawn", "cloudy",
     "boat", "orange"),
    ("snowstorm in the desert at sunset with a yellow ball", "desert", "sunset", "snow", "ball", "yellow"),
    ("My favourite: a green car in the city, dawn, rain on the pavement.", "city", "dawn", "rain", "car", "green"),
    ("blue kite blue sky green hills", "hills", "day", "clear", "kite", "blue"),
    ("the moon, the sea, a white bird", "sea", "night", "clear", "bird", "white"),
    ("On a winter's evening a scarlet ball bounces past the peaks", "mountains", "sunset", "snow", "ball", "red"),
    ("A dinghy, pink of all colours, in the snow, at night, far out at sea", "sea", "night", "snow", "boat", "pink"),
    ("cactus country under a leaden sky and a jade kite at break of day", "desert", "dawn", "cloudy", "kite", "green"),
    ("We drove our purple car through the trees on a clear bright morning", "forest", "dawn", "clear", "car", "purple"),
    ("thunder over the hills, pitch dark, and a glowing balloon the colour of a tangerine", "hills", "night", "rain",
     "balloon", "orange"),
    ("gulls? no, one single red gull over the town, it is snowing, it is noon", "city", "day", "snow", "bird", "red"),
    ("a blue airship floats above the treetops in the rain this afternoon", "forest", "day", "rain", "balloon", "blue"),
    ("The evening express, all white, rushes by the mountains with no clouds in sight", "mountains", "sunset", "clear",
     "train", "white"),
    ("urban sunrise with a pink ball", "city", "dawn", None, "ball", "pink"),
    ("Nothing but sand and a yellow automobile and a sky full of clouds when the day ends", "desert", "sunset",
     "cloudy", "car", "yellow"),
    ("white christmas in the forest, small hours, lemon-yellow ball", "forest", "night", "snow", "ball", "yellow"),
    ("the ocean glows at sundown, no wind to speak of, but a blue kite stays aloft in the clear air", "sea", "sunset",
     "clear", "kite", "blue"),
    ("Please, a violet balloon sailing past apartment blocks on a wet evening", "city", "sunset", "rain", "balloon",
     "purple"),
    ("cloud bank over the summits at night, an old red motor car below", "mountains", "night", "cloudy", "car", "red"),
    ("green train green forest grey morning", "forest", "dawn", "cloudy", "train", "green"),
    ("how about a white ball in the desert when it rains at daybreak", "desert", "dawn", "rain", "ball", "white"),
    ("countryside, sunset, blizzard; the pink hatchback drives home", "hills", "sunset", "snow", "car", "pink"),
    ("night train through the city, painted yellow, stars over the roofs", "city", "night", "clear", "train", "yellow"),
    ("The kite was orange and the snow fell on the mountains all day long.", "mountains", "day", "snow", "kite",
     "orange"),
    ("over the meadow in the dark flies a purple swallow, not a cloud about", "hills", "night", "clear", "bird",
     "purple"),
    ("islands in the morning sun with a blue boat in front", "sea", "dawn", None, "boat", "blue"),
    ("pale dawn, pale dunes under snow, and a bright red kite against it", "desert", "dawn", "snow", "kite", "red"),
    ("a balloon", None, None, None, "balloon", None),
    ("Rainy night in the woods", "forest", "night", "rain", None, None),
    ("something green on the waves in the morning", "sea", "dawn", None, None, "green"),
    ("the sun is setting behind the city and a black cloud of rain moves in over a white bird", "city", "sunset",
     "rain", "bird", "white"),
    ("hills at noon, dull sky, pink ball, what more do you want", "hills", "day", "cloudy", "ball", "pink"),
    ("A golden sailing boat on a moonlit ocean", "sea", "night", "clear", "boat", "yellow"),
    ("In fog and drizzle the sky-blue steam engine climbs the valley at midday", "mountains", "day", "rain", "train",
     "blue"),
    ("crisp winter morning, skyscrapers, emerald balloon", "city", "dawn", "snow", "balloon", "green"),
    ("Through the cloudy twilight over the sea comes a big red hot-air balloon", "sea", "sunset", "cloudy", "balloon",
     "red"),
]
HELD_OUT_SENTENCES = [dict(zip(("text", "scene", "time", "weather", "actor", "color"), row)) for row in _HELD_OUT]
