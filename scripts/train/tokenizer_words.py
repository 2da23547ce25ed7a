"""Everyday English words for the tokenizer's vocabulary, beside those of the captions."""

EVERYDAY_WORDS = """
a about above across after again against all almost alone along already also although always am among an and another any
anything are around as at away back be because become been before began behind being below beneath beside best better
between big both bring but by call came can carry change clear close cold come could cover dark day deep did different
do does done door down draw drive drop during each early earth east easy eat edge else end enough even evening ever
every everything eye face fall family far fast feel few field fill find fine fire first fish five float flow flower fly
follow food for found four free friend from front full game garden gave get girl give glow go gold gone good grass great
green ground group grow had half hand hang happy hard has have he head hear heart heavy her here high hill him his hold
home horse hot hour house how hundred i if in inside into is it its join jump just keep kind king know lady land large
last late laugh lead leaf learn leave left less let letter life light like line little live long look lose lost lot loud
love low made make man many mark may me mean meet men middle might mile mind moment money month moon more morning most
mother mountain move much music must my name near need never new next nice night no none north nothing now number of off
often oh old on once one only open or orange other our out outside over own page paint paper park part pass past path
people perhaps person picture place plain plane plant play please point power pretty pull push put quick quiet rain ran
reach read ready real red rest ride right rise river road rock roll room round run said sail same sand saw say scene
school sea second see seem send set seven shadow shall shape she shine ship short should show side sign silver simple
since sing sit six sky sleep slow small smile snow so soft some something sometimes song soon sound south space speak
spring stand star start stay step still stone stop storm story strange stream street strong such summer sun sure surface
sweet swim table take talk tall tell ten than thank that the their them then there these they thick thin thing think
third this those though thought three through time tiny to today together told tomorrow tonight too took top touch
toward town travel tree trip true try turn two under until up upon us use valley very view village voice wait walk wall
want war warm was wash watch water wave way we wear weather week well went were west what wheel when where which while
white who whole why wide wild will wind window wing winter wish with without woman wonder wood word work world would
write year yellow yes yet you young your zoo
airplane alley animal apple arrive autumn avenue baby barn beach bear beautiful bell bicycle bike black boulder branch
brave breeze bridge bright brook brown building bus butterfly camel camera cat cave cathedral chase cheerful child
children church circus cliff climb clock coastline cow crowd dance dangerous dawn deer dog dolphin dragon dream duck
dusk dust elephant empty engine fairy fantasy farmer feather fence ferry festival fog foggy fox frozen funny ghost giant
glacier glitter grandma gray grey guitar harbor harbour hawk heat helicopter hidden holiday horizon hut ice iceberg icy
island jungle kitten lake lamp lantern leap lighthouse lightning lion magic market meadow mist misty monkey monster
motorcycle mouse mud mystery navy oak oasis ocean oil owl palm parade penguin pig pirate plane planet pond prairie
prince princess puddle rabbit raft rail rainbow ridge robot rocket roof rose ruin savanna seaside shark sheep shell
shore silent skate ski skyscraper smoke snowman spaceship spark splash square squirrel station steam steep sunflower
sunlight surf swan swamp tent thunder tiger toad tower toy traffic tram tropical truck tulip tunnel turtle twinkle
umbrella uphill van volcano wagon waterfall weekend whale wheat wolf wooden yard
is are was were am be being been has had having do does did doing wants wanted goes going gone came coming makes making
made takes taking took gives given slowly quickly softly brightly deeply suddenly finally maybe really quite rather very
too almost
""".split()
