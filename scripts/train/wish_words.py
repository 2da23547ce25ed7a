"""Words of wishes and of the lines that tell them, beside those of the captions."""

import captions as c

# Lengths in seconds that the model learns; others are scaled to the nearest of these.
LENGTHS = [4, 5, 6, 8, 10, 12, 15, 20, 24, 30, 40, 45, 50, 60, 75, 90, 100, 120, 150, 180, 240, 300, 600]


def weighted(rng, values, weights):
    """One of the values. Those that a wish leaves open are not equally likely: the most likely one stands out."""
    return rng.choices(values, weights)[0]


def by_rank(rng, values):
    """One of the values, each three times as likely as the next one."""
    return weighted(rng, values, [3.0**-i for i in range(len(values))])


def most_lines(seconds):
    return 2 if seconds < 8 else 3 if seconds < 15 else 4 if seconds < 30 else 5 if seconds < 60 else 6


LAND = ["ball", "balloon", "bird", "car", "train", "kite", "plane", "rabbit", "lantern"]
WATER = ["boat", "boat", "boat", "balloon", "bird", "kite", "plane", "duck", "lantern"]
LIKELY_ACTORS = {"sea": WATER, "hills": LAND, "desert": LAND, "mountains": LAND, "city": LAND, "forest": LAND,
                 "lake": ["boat", "boat", "duck", "duck", "balloon", "bird", "kite", "plane",
                          "lantern"], "canyon": LAND}
KNOWN_SCENES = list(c.SCENE_NOUNS)

# Words for the same things that the captions do not have: a line says the captions' first word.
ACTOR_EXTRAS = {
    "ball": ["basketball", "tennis ball", "beachball", "volleyball", "playball", "gym ball"],
    "balloon": ["hot air baloon", "hotair balloon", "ballon", "baloon", "montgolfier", "dirigible", "air ship",
                "toy balloon"],
    "boat": ["fishing boat", "rowing boat", "motor boat", "ferry", "canoe", "steamer", "pirate ship", "sail", "barge",
             "fisher boat", "sailing yacht", "tall ship", "sailor's boat", "speedboat", "steamboat"],
    "bird": ["pigeon", "crow", "hawk", "owl", "stork", "goose", "crane", "falcon", "raven", "blackbird",
             "canary bird", "seabird", "sea gull", "little bird", "albatross", "heron"],
    "car": ["truck", "van", "jeep", "bus", "cab", "sports car", "race car", "convertible", "lorry", "motorcar",
            "beetle",
            "family car", "pickup", "roadster"],
    "train": ["railway", "express", "express train", "tram", "goods train", "freight train", "railroad train",
              "rail car", "little train", "toy train", "choo choo"],
    "kite": ["stunt kite", "dragon kite", "kite with long tail", "box kite", "child's kite"],
    "plane": ["air plane", "jet", "glider", "sport plane", "propellor plane", "toy plane", "airliner", "seaplane"],
    "rabbit": ["hares", "rabit", "jackrabbit", "little bunny", "toy rabbit", "white-tailed rabbit"],
    "duck": ["swan", "duckie", "drake", "wild goose", "bath duck"],
    "lantern": ["lamp in the sky", "light balloon", "paper lamp", "floating light", "fire balloon"],
}
# Landscapes likewise, with their articles.
SCENE_EXTRAS = {
    "sea": [("", "sea"), ("", "seashore"), ("an", "island"), ("the", "Atlantic"), ("the", "Pacific"), ("the", "harbor"),
            ("the", "Mediterranean"), ("the", "seafront"), ("", "beach"), ("the", "sandy beach"), ("the", "bay"),
            ("the", "water's edge"), ("the", "deep blue sea"), ("the", "port"), ("the", "waterside"),
            ("the", "north sea"), ("", "ocean"), ("the", "seas")],
    "hills": [("the", "farm land"), ("the", "prairie"), ("the", "vineyards"), ("the", "grasslands"), ("the", "village"),
              ("the", "meadow"), ("the", "moor"), ("a", "hill"), ("the", "rolling hills"), ("the", "pastures"),
              ("the", "green hills"), ("", "country roads"), ("", "countryside"), ("the", "meadows"), ("the", "hill"),
              ("the", "farmland"), ("the", "fields of home")],
    "desert": [("", "Egypt"), ("the", "Gobi"), ("", "dune"), ("the", "sand dunes"), ("", "desert"), ("the", "hot sand"),
               ("", "pyramids of Giza"), ("the", "great pyramids"), ("the", "outback"), ("the", "cacti"),
               ("the", "oasis"), ("", "Arizona"), ("the", "sandy desert")],
    "mountains": [("the", "Alps"), ("the", "Himalayas"), ("the", "Rockies"), ("the", "Andes"), ("a", "mountain top"),
                  ("", "alps"), ("the", "mountain"), ("the", "mountain range"), ("a", "summit"), ("the", "peak"),
                  ("", "mountain range"), ("the", "Alpine peaks"), ("the", "valley in the mountains"),
                  ("the", "mountain valley"), ("", "Switzerland")],
    "city": [("", "New York"), ("", "Paris"), ("", "London"), ("", "Tokyo"), ("", "Berlin"), ("", "Manhattan"),
             ("the", "big city"), ("the", "old town"), ("the", "suburbs"), ("", "town"), ("", "city"),
             ("", "the streets of the city"), ("the", "town centre"), ("the", "city centre"), ("the", "skyscrapers"),
             ("the", "main street"), ("", "Chicago"), ("the", "city lights"), ("the", "street")],
    "forest": [("the", "rainforest"), ("the", "pine forest"), ("", "woods"), ("", "forest"), ("the", "old woods"),
               ("the", "black forest"), ("the", "fir trees"), ("the", "oaks"), ("a", "jungle"), ("the", "dark woods"),
               ("the", "wood"), ("the", "autumn leaves"), ("the", "park"), ("the", "grove"), ("the", "birch forest")],
    "lake": [("", "lake"), ("the", "ponds"), ("the", "reservoir"), ("the", "Lake District"), ("", "Loch Ness"),
             ("the", "boating lake"), ("", "Lake Constance"), ("the", "duck pond"), ("the", "lake side"),
             ("", "lakes")],
    "canyon": [("the", "Grand Canyon"), ("", "canyon"), ("the", "canyons"), ("", "Utah"), ("the", "red mesa"),
               ("the", "rocks"), ("the", "Colorado"), ("", "Monument Valley"), ("the", "red rock canyon"),
               ("the", "gorges")],
}
COLOR_EXTRAS = {"red": ["reddish", "maroon", "burgundy", "wine-red", "RED", "strawberry"],
                "orange": ["orangey", "copper"], "yellow": ["blond", "straw-yellow", "honey"],
                "green": ["greenish", "lime green", "pea-green", "olive-green"],
                "blue": ["bluish", "light blue", "pale blue", "turquoise", "cyan", "teal"],
                "purple": ["purplish", "lilac-coloured"], "pink": ["pinkish", "pale pink", "hot pink"],
                "white": ["whitish", "snowy white", "ivory white"]}
OTHER_COLORS = ["black", "brown", "silver", "grey", "rainbow", "striped", "wooden", "metal", "invisible", "transparent",
                "beige", "checkered", "spotted"]

# Words that name the actor without its noun.
IMPLIED = {"boat": ["sailing", "a sail", "sailing trip", "a sailing trip", "a voyage", "a cruise", "sailing away",
                    "we sail"],
           "car": ["driving", "a drive", "a road trip", "road trip", "taking a drive", "we drive"],
           "train": ["a railway journey", "travelling by train", "on the rails", "a railway trip"],
           "balloon": ["ballooning", "travelling by balloon"], "ball": ["playing ball"], "bird": ["birdwatching"],
           "kite": ["kite flying", "flying a kite", "let us fly a kite"],
           "plane": ["a flight", "flying by plane", "taking a flight"], "rabbit": ["rabbit watching"],
           "duck": ["feeding the duck"], "lantern": ["sending up a lantern", "lantern festival"]}
TRIPS = ["ride", "trip", "tour", "journey", "adventure", "travel", "story", "scene", "voyage", "excursion", "video"]
SUBJECT_STARTS = ["a", "a", "a", "a", "the", "one", "my", "some", "our", "this", "a single", "your", "his", "her", "a"]
ADVERBS = ["slowly", "gently", "peacefully", "quietly", "happily", "calmly", "steadily", "softly", "gracefully",
           "lazily",
           "silently"]

TIME_OUT = {"dawn": ["at dawn", "at sunrise", "in the early morning", "in the morning"],
            "day": ["in the daytime", "at noon", "in the afternoon", "in broad daylight"],
            "sunset": ["at sunset", "at dusk", "in the evening"],
            "night": ["at night", "at midnight", "late at night"]}
WEATHER_OUT = {"clear": ["under a clear sky", "in fine weather", "beneath a cloudless sky"],
               "cloudy": ["under a cloudy sky", "under an overcast sky", "under a grey sky"],
               "rain": ["in the rain", "in heavy rain", "in pouring rain"],
               "snow": ["in the snow", "in falling snow", "among snowflakes"]}

OPENINGS = c.OPENERS + c.REQUESTS + [
    "i want", "i want a video of", "make me a video of", "please", "can you make", "can i see", "let's see",
    "tell me about",
    "a story about", "the story of", "a story of", "a little story about", "tell the story of", "a timelapse of",
    "time lapse of", "timelapse:", "a time-lapse video of", "video:", "idea:", "a tale of", "a dream of",
    "something like",
    "how about", "what about", "hey,", "hello, please show", "I'd like", "I'd love to see", "it should be", "we see",
    "a journey:", "a journey with", "a trip:", "follow", "watch", "the adventures of", "the life of", "the journey of",
    "a minute of", "one minute of", "a long video of", "create a story about", "write a story about", "describe",
    "imagine", "once there was", "once upon a time there was", "*, please", "*, thanks", "*, that would be nice",
    "please, *", "could you make a video of *?", "can you show *?", "what about *?", "* please", "maybe *"]

# Things that the world does not have.
OTHER_THINGS = """dragon dog cat horse cow sheep elephant lion tiger whale dolphin shark fish fox wolf bear deer
    monkey penguin snake spider butterfly bee person man woman girl boy child children family friends people crowd king
    queen prince princess knight wizard witch ghost monster robot alien astronaut pirate farmer dancer musician band
    cyclist runner skier surfer rocket spaceship helicopter bicycle motorcycle tank submarine castle
    house church bridge tower school factory statue fountain garden flower roses sunflowers rainbow volcano waterfall
    cave iceberg comet meteor planet galaxy fireworks aurora lightning tornado flood fire explosion cake pizza apple
    coffee computer phone book piano guitar umbrella hat table chair bed lamp camel crocodile giraffe panda unicorn
    dinosaur mermaid angel santa snowman squirrel mouse frog turtle octopus jellyfish market circus parade festival
    wedding party football match race kitchen bedroom office station airport museum grandmother grandfather mother
    father daughter son dog's cat's soldier police ninja samurai vampire zombie""".split()
NOISE = ["and a *", "with a *", "with two *", "and the *", "next to a *", "with my *", "where a * lives", "and some *",
         "chased by a *", "for my *", "from Peru", "with * on board", "in the style of *", "my * loves it", "about a *",
         "a * watches", "like a *", "past a *", "and * everywhere", "with music", "with a happy end", "in 3D",
         "with a * in it",
         "and a * somewhere", "with *s", "and *s", "with lots of *s", "a * too", "and also a *", "plus a *",
         "next to my *",
         "with the *", "and my *", "instead of a *", "no *", "without a *", "no *s", "a * says hello",
         "the * is asleep",
         "the * sings", "where the *s are", "for the *", "until the * comes", "because of the *", "the *s are happy",
         "with a * on the left", "there is a *", "there are *s", "I miss my *", "my * is called Max", "by the *"]
NUMBER_NOISE = ["*, 10 seconds", "60 seconds: *", "*, 1 minute", "a 30 second video: *", "*, 4k", "* (16:9)",
                "one minute, *", "30s *"]
STRANGE_SUBJECTS = ["a *", "the *", "my *", "a big *", "a little *", "two *s", "a black *", "an old *", "some *s"]
# What people say around a wish.
FRAMES = """*, for my son|*, for my daughter|a video for my kids: *|my son loves this: *|my little boy wants *
    my girlfriend wants to see *|for our living room: *|as a screensaver: *|a screensaver with *|*, as a screensaver
    background video: *|*, as a background|please make me happy: *|I dreamed of *|I had a dream: *|last night I saw *
    I want to watch *|I want to see how *|I'd like a video where *|I would love a video in which *|can we have *
    can we see *|can I get *|could we watch *|would you show *|let me watch *|let's watch *|do you have *?
    is it possible to show *?|what does * look like?|how does * look?|what happens: *|it's about *
    the plot: *|scene 1: *|scene: *|story: *|title: *|my wish: *|wish: *|prompt: *|test: *|ok, *|so, *|well, *|hmm, *
    hey flashblock, *|hi! *|hello! *|good morning, please *|dear computer, *|computer, show *|AI, make *
    something with *|something like *|anything with *|just *|simply *|only *|nothing but *|simple: *|more of *
    one more: *|again: *|a nice one: *|a calm one: *|a long one: *|*, nothing else|*, and that's it|*, please and thanks
    *, if possible|*, if you can|*, ok?|*, would you?|*, what do you think|*!! |* :)|* ;-)|* <3|* lol|*, wow|*, cool
    *, it should be relaxing|relaxing: *|relaxing video, *|for relaxing, *|to fall asleep: *|before bed: *
    for the evening: *|bedtime story: *|a bedtime story about *|a goodnight story: *|for meditation: *|meditation, *
    *, peaceful|*, very peaceful|*, very calm|*, dramatic|a dramatic video: *|*, beautiful|*, pretty|*, realistic
    *, cartoon|*, as a cartoon|a cartoon of *|*, no people|without people: *|*, no text|*, no music
    an animation where *|a clip where *|a movie where *|I love this: *|i like *|I love *|we love *|my favourite is *
    because I am homesick: *|from my holidays: *|like on our holiday: *|our trip: *|travel video: *|a nature video: *
    a nature documentary: *|documentary, *|a postcard from *|greetings from *|view of *|views of *|look: *|look at *
    think of *|think about *|there was once *|one day *|one time *|it was *|here is *
    we are watching *|you see *|you can see *|all I want is *|what I want is *|I need *|need *|want *|wanna see *
    gimme *|plz *|pls *|pls show *|plz make *|make it *|make * happen|a loop of *|loop: *|in one take: *
    a short story: *|short story about *|poem: *|haiku: *|*, the end|*. The end.|it all begins with *""".replace(
    "\n", "|").split("|")
FRAMES = [frame.strip() for frame in FRAMES]
# Words of the rules that no timeline shows: of these the program says that they are unknown.
NOT_SHOWN = OTHER_COLORS + OTHER_THINGS + ["two", "three", "five", "six", "seven", "hundred", "windy", "wind", "cats",
                                          "dogs", "kids", "girlfriend"]
