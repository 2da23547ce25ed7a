#include "render/timeline_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>

namespace flashblock {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> written(const std::string& text) {
  std::vector<std::string> lines;
  for (const PromptChange& change : parse_timeline(text)) {
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, "%g", change.seconds);
    lines.push_back(seconds + ("|" + change.prompt));
  }
  return lines;
}

TEST(TimelineTextTest, LinesAreReadHoweverTimesAreWritten) {
  EXPECT_THAT(written("0: A boat.\n15: A ship."), ElementsAre("0|A boat.", "15|A ship."));
  EXPECT_THAT(written("0s: A boat.\n7.5 s - A ship.\n20 seconds: A sail."),
              ElementsAre("0|A boat.", "7.5|A ship.", "20|A sail."));
  EXPECT_THAT(written("00:00: A boat.\n[00:12] A ship.\n1:05: A sail."),
              ElementsAre("0|A boat.", "12|A ship.", "65|A sail."));
  EXPECT_THAT(written("00:00 A boat.\n00:12 A ship."), ElementsAre("0|A boat.", "12|A ship."));
  EXPECT_THAT(written("- **0 s**: A boat.\n* 10-20s: \"A ship.\"\r\n[30s: A sail]"),
              ElementsAre("0|A boat.", "10|A ship.", "30|A sail"));
  EXPECT_THAT(written("At 0: A boat.\nat 5 s: 2 ships."), ElementsAre("0|A boat.", "5|2 ships."));
}

TEST(TimelineTextTest, OtherLinesArePassedOver) {
  EXPECT_THAT(written("Here is your timeline:\n\n0: A boat.\nThen the night.\n3 boats\n9:\n12: A ship.\nEnjoy!"),
              ElementsAre("0|A boat.", "12|A ship."));
  EXPECT_THAT(written(""), IsEmpty());
  EXPECT_THAT(written("A boat sails.\n: \n12: ...\n99999999999: A ship."), IsEmpty());
}

TEST(TimelineTextTest, TimesRiseFromZeroAndTheFirstOfTwoCounts) {
  EXPECT_THAT(written("20: C.\n5: A.\n10: B.\n10: D."), ElementsAre("0|A.", "10|B.", "20|C."));
}

TEST(UnknownWordsTest, FormsAndTypingErrorsOfKnownWordsAreKnown) {
  const std::set<std::string> known = {"boat", "balloon", "red", "sea", "the", "bounce", "by", "sunny"};
  EXPECT_THAT(unknown_words("The RED boats' balloons bounces by the sea, a baloon, a ballono", known), IsEmpty());
  EXPECT_THAT(unknown_words("a dragon's castle, the dragon and a bot", known),
              ElementsAre("dragon", "castle", "and", "bot"));
  EXPECT_THAT(unknown_words("caf\u00e9 \u6d77 na\u00efve 12", known), IsEmpty());
}

}  // namespace
}  // namespace flashblock
