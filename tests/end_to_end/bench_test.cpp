// `flashblock bench` as users meet it: what it measures is there, whole, and in its place. No time is judged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/film_benchmark.h"
#include "tests/end_to_end/program_run.h"
#include "tests/support/temporary_folder.h"

namespace flashblock {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::Not;
using Words = std::vector<std::string>;

class Bench : public ::testing::Test {
 protected:
  Bench() { write_prompted_model(folder_ / "model"); }

  ProgramRun bench(const Words& more = {}) const {
    Words words = {"bench",   "--model", folder_ / "model",     "--device", "cpu",
                   "--dtype", "float32", "--seconds",           "1",        "--rounds",
                   "2",       "--json",  folder_ / "bench.json"};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words);
  }
  nlohmann::json numbers() const { return read_json(folder_ / "bench.json"); }

  TemporaryFolder folder_;
};

TEST_F(Bench, TimesAttentionTransformerAndFilms) {
  const ProgramRun run = bench();
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("small, 48x32, window 9 (sink 3), 2 + 1 passes"));
  EXPECT_THAT(run.out, HasSubstr("exact / reuse"));
  const nlohmann::json found = numbers();
  EXPECT_EQ(found.at("refresh"), "first_and_clean_pass");
  EXPECT_EQ(found.at("denoising_passes"), 2);
  for (const char* work : {"attention", "first pass", "later pass", "clean pass", "frame block", "film",
                           "film: denoise", "film: remember", "film: decode", "film: write"}) {
    const nlohmann::json& times = found.at("work").at(work);
    for (const char* way : {"exact_seconds", "reuse_seconds"}) {
      ASSERT_EQ(times.at(way).size(), 2u) << work;
      for (const double seconds : times.at(way)) EXPECT_GT(seconds, 0) << work;
    }
    EXPECT_GT(times.at("ratio"), 0) << work;
  }
  const double share = found.at("external_attentions_computed_share");
  EXPECT_GT(share, 0);
  EXPECT_LT(share, 1);
}

TEST_F(Bench, FilmsCanBeLeftOutAndThePolicyNamed) {
  const ProgramRun run = bench({"--no-film", "--set", "attention.refresh=first_pass"});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("first_pass"));
  EXPECT_THAT(run.out, Not(HasSubstr("film")));
  EXPECT_FALSE(numbers().at("work").contains("film"));
}

TEST_F(Bench, WithoutAWindowTheWholeFilmIsAttendedTo) {
  const ProgramRun run = bench({"--no-film", "--set", "recipe.window_frames=-1", "--set", "recipe.sink_frames=0"});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(numbers().at("window_frames"), 6);
}

TEST_F(Bench, NothingToCompareIsRefused) {
  const ProgramRun run = bench({"--set", "attention.mode=exact"});
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, HasSubstr("attention.mode"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "bench.json"));
}

TEST(Median, OfValuesAndOfPairedRatios) {
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 2, 3}), 2.5);
  EXPECT_EQ(median_ratio({.work = "", .exact = {2, 30, 8}, .reused = {1, 10, 2}}), 3);
}

}  // namespace
}  // namespace flashblock
