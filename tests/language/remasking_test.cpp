// The remasking rules, place by place.
#include "language/remasking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace flashblock {
namespace {

using ::testing::ElementsAre;

const std::vector<OpenPlace> kOpen = {{1, 0.5F, 0.9F}, {2, 0.95F, 0.1F}, {5, 0.92F, 0.2F}, {6, 0.5F, 0.04F}};

TEST(Remasking, StaticTakesTheMostConfident) {
  const RemaskingRule rule{.rule = Remasking::kLowConfidenceStatic};
  EXPECT_THAT(places_to_decode(rule, kOpen, 1), ElementsAre(2));
  EXPECT_THAT(places_to_decode(rule, kOpen, 3), ElementsAre(1, 2, 5)) << "of equal places the first";
  EXPECT_THAT(places_to_decode(rule, kOpen, 9), ElementsAre(1, 2, 5, 6)) << "never more than are open";
}

TEST(Remasking, DynamicTakesAllAboveTheThreshold) {
  RemaskingRule rule{.rule = Remasking::kLowConfidenceDynamic, .threshold = 0.9};
  EXPECT_THAT(places_to_decode(rule, kOpen, 1), ElementsAre(2, 5));
  EXPECT_THAT(places_to_decode(rule, kOpen, 3), ElementsAre(1, 2, 5)) << "too few are above it";
  rule.threshold = 0.96;
  EXPECT_THAT(places_to_decode(rule, kOpen, 1), ElementsAre(2));
  rule.threshold = 0.5;
  EXPECT_THAT(places_to_decode(rule, kOpen, 1), ElementsAre(2, 5)) << "above, not at it";
}

TEST(Remasking, SequentialTakesTheFirst) {
  EXPECT_THAT(places_to_decode({.rule = Remasking::kSequential}, kOpen, 2), ElementsAre(1, 2));
}

TEST(Remasking, EntropyIsSummedUpToTheBound) {
  RemaskingRule rule{.rule = Remasking::kEntropyBounded, .entropy_bound = 0.3};
  EXPECT_THAT(places_to_decode(rule, kOpen, 1), ElementsAre(2, 6));
  rule.entropy_bound = 0.35;
  EXPECT_THAT(places_to_decode(rule, kOpen, 1), ElementsAre(2, 5, 6));
  rule.entropy_bound = 0;
  EXPECT_THAT(places_to_decode(rule, kOpen, 3), ElementsAre(6)) << "at least one";
  rule.entropy_bound = 100;
  EXPECT_THAT(places_to_decode(rule, kOpen, 1), ElementsAre(1, 2, 5, 6));
}

TEST(Remasking, TheFirstPassesDecodeWhatIsLeftOver) {
  const auto wanted = [](int64_t block, int64_t steps) {
    std::vector<int64_t> all;
    for (int64_t step = 0; step <= steps; ++step) all.push_back(wanted_places(block, steps, step));
    return all;
  };
  EXPECT_THAT(wanted(4, 4), ElementsAre(1, 1, 1, 1, 1));
  EXPECT_THAT(wanted(8, 3), ElementsAre(3, 3, 2, 1));
  EXPECT_THAT(wanted(4, 2), ElementsAre(2, 2, 1));
  EXPECT_THAT(wanted(2, 4), ElementsAre(1, 1, 1, 1, 1)) << "never none";
}

TEST(Remasking, RulesAreReadByName) {
  for (const Remasking rule : {Remasking::kLowConfidenceStatic, Remasking::kLowConfidenceDynamic,
                               Remasking::kSequential, Remasking::kEntropyBounded})
    EXPECT_EQ(parse_remasking(to_string(rule)), rule);
  EXPECT_THROW(parse_remasking("random"), ConfigError);
}

}  // namespace
}  // namespace flashblock
