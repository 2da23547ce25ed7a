// `flashblock bench` as users meet it: what it measures is there, whole, and in its place. No time is judged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analysis/benchmark.h"
#include "tests/end_to_end/program_run.h"
#include "tests/support/page_data.h"
#include "tests/support/temporary_folder.h"

namespace flashblock {
namespace {

using namespace testing;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::Ge;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::Lt;
using ::testing::Not;
using ::testing::SizeIs;
using Words = std::vector<std::string>;
using Numbers = std::vector<double>;

constexpr const char* kSmall = "width=128,layers=2,heads=2,ffn=128,text=64,text_length=16,vae=8";

class Bench : public ::testing::Test {
 protected:
  ProgramRun bench(const Words& more) const {
    Words words = {"bench",    "--device", "cpu",         "--dtype", "float32",
                   "--rounds", "2",        "--overwrite", "--json",  folder_ / "bench.json"};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words);
  }
  /// A model of files: 48x32, window 9 with a sink of 3, two passes.
  ProgramRun bench_files(const Words& more) {
    write_prompted_model(folder_ / "model");
    Words words = {"--model", folder_ / "model", "--seconds", "1"};
    words.insert(words.end(), more.begin(), more.end());
    return bench(words);
  }
  /// A model of no files.
  ProgramRun bench_random(const Words& more) const {
    Words words = {"--geometry", kSmall, "--size", "48x32"};
    words.insert(words.end(), more.begin(), more.end());
    return bench(words);
  }
  nlohmann::json numbers() const { return read_json(folder_ / "bench.json"); }

  TemporaryFolder folder_;
};

/// Where exact attention was timed too, each other mode is held against it.
void expect_times(const nlohmann::json& row, const Words& modes, size_t rounds) {
  for (const std::string& mode : modes) {
    ASSERT_TRUE(row.contains(mode)) << mode << " in " << row;
    EXPECT_THAT(row.at(mode).at("seconds").get<Numbers>(), AllOf(SizeIs(rounds), Each(Gt(0)))) << row;
    if (mode != "exact" && row.contains("exact")) {
      EXPECT_GT(row.at(mode).at("exact_over"), 0);
    }
  }
}

TEST_F(Bench, TimesEveryPartOfAFrameBlockInEveryWay) {
  const ProgramRun run = bench_files({"--no-video"});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("small, 48x32, 2 + 1 passes"), HasSubstr("window 9, sink 3")));
  const nlohmann::json found = numbers();
  EXPECT_EQ(page_data(read_text(folder_ / "bench.html")), found);
  EXPECT_EQ(found.at("refresh"), "first_and_clean_pass");
  for (const char* stage : {"text encoding", "VAE decode, full", "VAE decode, small", "encode and write"})
    EXPECT_THAT(found.at("stages").at(stage).at("seconds").get<Numbers>(), AllOf(SizeIs(2), Each(Gt(0)))) << stage;
  EXPECT_EQ(found.at("full_vae"), "vae.safetensors");
  EXPECT_THAT(found.at("small_vae"), HasSubstr("random weights"));

  EXPECT_GT(found.at("ceilings").at("native_operations_per_second"), 1e6);
  EXPECT_THAT(run.out, AllOf(HasSubstr("ceiling, one large product: "), HasSubstr("share of the ceiling")));

  ASSERT_EQ(found.at("windows").size(), 1u);
  const nlohmann::json& window = found.at("windows").front();
  const Words modes = {"exact", "first_and_clean_pass", "first_pass"};
  for (const char* work : {"attention", "first pass", "later pass", "clean pass", "frame block"})
    expect_times(window.at("work").at(work), modes, 2);
  EXPECT_EQ(window.at("external_passes").at("exact"), 3);
  EXPECT_EQ(window.at("external_passes").at("first_and_clean_pass"), 2);
  EXPECT_EQ(window.at("external_passes").at("first_pass"), 1);
  for (const char* ratio : {"attention_exact_over_r1", "transformer_exact_over_r1"}) EXPECT_GT(window.at(ratio), 0);
  EXPECT_FALSE(window.contains("videos"));
  EXPECT_THAT(run.out, Not(HasSubstr("fps")));
}

TEST_F(Bench, WithoutExactAttentionNothingIsComparedWithIt) {
  for (const Words& modes : {Words{"first_and_clean_pass", "first_pass"}, {"first_pass"}}) {
    const bool videos = modes.size() == 1;
    Words words = {"--no-exact", "--no-text", "--no-small-vae", "--set", "attention.refresh=" + modes.front()};
    if (!videos) words.push_back("--no-video");
    const ProgramRun run = bench_files(words);
    ASSERT_EQ(run.status, 0) << run.err;
    EXPECT_THAT(run.out, AllOf(Not(HasSubstr("exact")), Not(HasSubstr("x\n"))));
    EXPECT_EQ(numbers().at("refresh"), modes.front());
    const nlohmann::json window = numbers().at("windows").front();
    EXPECT_EQ(window.dump().find("exact"), std::string::npos) << window;
    for (const auto& [work, times] : window.at("work").items()) expect_times(times, modes, 2);
    if (videos) {
      EXPECT_GT(window.at("frames_per_second").at("to disk, full VAE").at("first_pass"), 0);
    }
  }
}

TEST_F(Bench, ThePartsOfATransformerPassMakeUpTheWhole) {
  ASSERT_EQ(bench_files({"--no-video", "--no-text"}).status, 0);
  const nlohmann::json window = numbers().at("windows").front();
  const nlohmann::json& split = window.at("split");
  const Words modes = {"exact", "first_and_clean_pass", "first_pass"};
  for (const char* part : {"linears", "internal + external", "cross attention", "rest"})
    expect_times(split.at(part), modes, 2);
  for (const char* part : {"internal attention", "external attention"}) {
    expect_times(split.at(part), {"first_and_clean_pass", "first_pass"}, 2);
    EXPECT_FALSE(split.at(part).contains("exact")) << "one softmax";
  }
  for (size_t round = 0; round < 2; ++round) {
    const auto seconds = [&](const char* part) {
      return split.at(part).at("first_pass").at("seconds").at(round).get<double>();
    };
    EXPECT_NEAR(seconds("internal attention") + seconds("external attention"), seconds("internal + external"), 1e-9);
  }
  EXPECT_FALSE(numbers().at("stages").contains("text encoding"));
}

TEST_F(Bench, TimesWholeVideosAndTellsFramesASecond) {
  const ProgramRun run = bench_files({"--no-text", "--video-rounds", "1", "--set", "attention.refresh=first_pass"});
  ASSERT_EQ(run.status, 0) << run.err;
  const nlohmann::json found = numbers(), window = found.at("windows").front();
  const Words modes = {"exact", "first_pass"};  // the policy is the reuse of the paper: no third mode
  const int64_t blocks = found.at("video_frame_blocks");
  for (const char* kind : {"transformer", "full VAE", "small VAE"}) {
    for (const std::string& mode : modes) {
      const nlohmann::json& runs = window.at("videos").at(kind).at(mode).at("runs");
      ASSERT_EQ(runs.size(), 1u) << kind;
      const nlohmann::json& video = runs.front();
      EXPECT_GT(video.at("seconds"), 0);
      EXPECT_LE(video.at("block_seconds").size(), static_cast<size_t>(blocks));
      if (kind == std::string("transformer")) continue;
      EXPECT_GT(video.at("first_frame_seconds"), 0);
      EXPECT_GE(video.at("decoded_seconds"), video.at("first_frame_seconds"));
      EXPECT_GE(video.at("seconds"), video.at("decoded_seconds"));
      const double share = video.at("external_attentions_computed_share");
      if (mode == "exact") {
        EXPECT_EQ(share, 1);
      } else {
        EXPECT_THAT(share, AllOf(Gt(0), Lt(0.6)));
      }
      for (const char* stage : {"denoise", "clean pass", "decode", "write"}) EXPECT_GT(video.at("stages").at(stage), 0);
    }
    EXPECT_GT(window.at("videos").at(kind).at("first_pass").at("exact_over"), 0);
  }
  const nlohmann::json& rates = window.at("frames_per_second");
  for (const char* rate : {"transformer", "+ full VAE", "+ small VAE", "to disk, full VAE", "to disk, small VAE"})
    for (const std::string& mode : modes) EXPECT_GT(rates.at(rate).at(mode), 0) << rate;
  const double frames = found.at("video_frames"),
               seconds = window.at("videos").at("full VAE").at("exact").at("runs").front().at("seconds");
  EXPECT_DOUBLE_EQ(rates.at("to disk, full VAE").at("exact"), frames / seconds);
  EXPECT_THAT(run.out, HasSubstr("fps"));
}

TEST_F(Bench, AModelOfAnySizeNeedsNoFilesAndEveryWindowIsMeasured) {
  const ProgramRun run = bench_random(
      {"--window", "6", "--window", "9:3", "--frames", "60", "--video-rounds", "1", "--no-text", "--no-small-vae"});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("window 6, sink 0"), HasSubstr("window 9, sink 3"), HasSubstr("4 + 1 passes")));
  const nlohmann::json found = numbers();
  EXPECT_EQ(found.at("model"), kSmall);
  EXPECT_EQ(found.at("video_frames"), 60);
  ASSERT_EQ(found.at("windows").size(), 2u);
  EXPECT_EQ(found.at("windows").at(0).at("window_frames"), 6);
  EXPECT_EQ(found.at("windows").at(1).at("sink_frames"), 3);
  for (const nlohmann::json& window : found.at("windows")) {
    EXPECT_EQ(window.at("external_passes").at("exact"), 5);
    EXPECT_FALSE(window.at("videos").contains("small VAE"));
    for (const char* kind : {"transformer", "full VAE"}) {
      const nlohmann::json& videos = window.at("videos").at(kind);
      EXPECT_THAT(videos.at("exact").at("runs").front().at("block_seconds").get<Numbers>(), Each(Ge(0)));
      EXPECT_THAT(videos.at("block_p99_over_median").at("first_pass").get<double>(), Ge(1));
    }
  }
}

TEST_F(Bench, TheTextEncoderOfARandomModelIsTimed) {
  const ProgramRun run = bench_random({"--no-video", "--window", "6"});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(numbers().at("text_tokens"), 16);
  EXPECT_THAT(run.out, HasSubstr("text encoding"));
}

TEST_F(Bench, WithoutAWindowTheWholeVideoIsAttendedTo) {
  const ProgramRun run = bench_files({"--no-video", "--no-text", "--window", "-1"});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(numbers().at("windows").front().at("window_frames"), 6);
}

TEST_F(Bench, WrongRequestsAreRefused) {
  const auto refused = [&](const Words& words, const char* part) {
    const ProgramRun run = bench(words);
    EXPECT_EQ(run.status, 2) << part;
    EXPECT_THAT(run.err, HasSubstr(part));
  };
  refused({"--geometry", kSmall, "--set", "attention.mode=exact"}, "attention.mode");
  refused({"--geometry", "wan"}, "found 'wan'");
  refused({"--geometry", "width=128,layers=2,heads=2"}, "ffn is missing");
  refused({"--geometry", "width=128,layers=0,heads=2,ffn=3"}, "found '0'");
  refused({"--geometry", "width=130,layers=1,heads=4,ffn=3"}, "even width");
  refused({"--geometry", kSmall, "--model", "demo"}, "--model");
  refused({"--geometry", kSmall, "--window", "12:"}, "found '12:'");
  refused({"--geometry", kSmall, "--window", "4:3"}, "sink_frames");
  const ProgramRun page = run_program({"bench", "--geometry", kSmall, "--json", folder_ / "times.html"});
  EXPECT_EQ(page.status, 2);
  EXPECT_THAT(page.err, HasSubstr("ends in .json"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "bench.json"));
}

TEST(BenchFigures, MediansPercentilesAndPairedRatios) {
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 2, 3}), 2.5);
  EXPECT_EQ(median_ratio({2, 30, 8}, {1, 10, 2}), 3);
  EXPECT_EQ(percentile({3, 1, 2}, 0.99), 3);
  EXPECT_EQ(percentile({4, 1, 2, 3}, 0.5), 2);
  EXPECT_EQ(percentile({4, 1, 2, 3}, 0), 1);
}

}  // namespace
}  // namespace flashblock
