// `flashblock analyze redundancy` as users meet it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/end_to_end/program_run.h"
#include "tests/support/page_data.h"
#include "tests/support/temporary_folder.h"

namespace flashblock {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::Not;
using Words = std::vector<std::string>;

TEST(Redundancy, LeavesAPageAndNumbers) {
  const TemporaryFolder folder;
  write_prompted_model(folder / "model");
  const auto analyze = [&](const Words& more) {
    Words words = {"analyze", "redundancy", "a <red> hill", "--model", folder / "model",      "--seed", "7", "--device",
                   "cpu",     "--dtype",    "float32",      "-o",      folder / "report.html"};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words);
  };
  const ProgramRun short_video = analyze({"--frames", "5"});
  EXPECT_EQ(short_video.status, 2);
  EXPECT_THAT(short_video.err, HasSubstr("only one frame block"));

  const ProgramRun run = analyze({"--frames", "30", "--policy", "first_pass", "--policy", "every_pass"});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("first_pass computes 44.4 %"));  // 4 of 9: see below
  const nlohmann::json report = read_json(folder / "report.json");
  EXPECT_EQ(report.at("layers"), 2);
  EXPECT_EQ(report.at("heads"), 2);
  EXPECT_EQ(report.at("passes"), nlohmann::json({"0", "1", "clean"}));
  EXPECT_EQ(report.at("blocks").size(), 2u) << "the first of three blocks has no past";
  EXPECT_EQ(report.at("pairs").size(), 3u);
  for (const nlohmann::json& row : report.at("external_share")[0]) {
    for (const nlohmann::json& share : row) EXPECT_TRUE(share > 0 && share < 1) << share;
  }
  const nlohmann::json& policies = report.at("policies");
  ASSERT_EQ(policies.size(), 3u);
  // Two layers, two passes in two blocks, and the second block's clean pass of the first layer.
  EXPECT_EQ(policies[0].at("computed"), nlohmann::json::parse("[[[1,1],[0,0],[0,0]],[[1,1],[0,0]]]"));
  EXPECT_EQ(policies[1].at("share"), 1);
  EXPECT_EQ(policies[2].at("name"), "published gate");

  const std::string html = read_text(folder / "report.html");
  EXPECT_THAT(html, Not(HasSubstr("<red>")));
  EXPECT_THAT(html, Not(HasSubstr("http")));
  EXPECT_EQ(page_data(html), report);
  EXPECT_EQ(report.at("prompt"), "a <red> hill");
  EXPECT_EQ(report.at("in_words").size(), 6u);
  for (const char* mean : {"external_cosine", "internal_cosine", "lse_change", "external_share", "reuse_error"}) {
    ASSERT_EQ(report.at("means").at(mean).size(), 2u) << mean;
    for (const nlohmann::json& value : report.at("means").at(mean)[1]) EXPECT_TRUE(value.is_number()) << mean;
  }
}

TEST(Redundancy, CalibratesAGateThatVideosObey) {
  const TemporaryFolder folder;
  write_prompted_model(folder / "model");
  const std::string gate = folder / "gate.yaml";
  const ProgramRun calibration = run_program({"analyze",
                                              "redundancy",
                                              "a red hill",
                                              "--model",
                                              folder / "model",
                                              "--seed",
                                              "7",
                                              "--device",
                                              "cpu",
                                              "--dtype",
                                              "float32",
                                              "--frames",
                                              "30",
                                              "--gate",
                                              gate,
                                              "--gate-lse-change",
                                              "0",
                                              "--curves",
                                              "-o",
                                              folder / "report.html"});
  ASSERT_EQ(calibration.status, 0) << calibration.err;
  EXPECT_THAT(read_text(gate), HasSubstr("heads: 2\nsteps: 2\nlayers:\n  - [\"11\", \"11\", \"11\"]\n"))
      << "every change is above 0";
  const nlohmann::json report = read_json(folder / "report.json");
  double before = 1;
  for (const nlohmann::json& point : report.at("points")) {
    if (point.at("policy") != "error_bound") continue;
    EXPECT_GT(point.at("computed_share"), 0.4);
    EXPECT_LE(point.at("error"), before) << "bounds fall";
    before = point.at("error").get<double>() + 0.01;
  }
  EXPECT_LT(before, 0.05);
  EXPECT_EQ(page_data(read_text(folder / "report.html")).at("points"), report.at("points"));

  const auto render = [&](const Words& more) {
    Words words = {"render",   "a red hill", "--model",  folder / "model",
                   "--seed",   "7",          "--device", "cpu",
                   "--frames", "30",         "--output", folder / "video.mp4",
                   "--dtype",  "float32",    "--set",    "attention.refresh=published_gate"};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words);
  };
  const ProgramRun nameless = render({"--dry-run"});
  EXPECT_EQ(nameless.status, 2);
  EXPECT_THAT(nameless.err, HasSubstr("published_gate needs attention.gate"));
  const ProgramRun other_steps = render({"--set", "attention.gate=" + gate, "--set", "recipe.steps=[1000]"});
  EXPECT_EQ(other_steps.status, 2);
  EXPECT_THAT(other_steps.err, HasSubstr("is for 2 denoising steps, this recipe has 1"));
  EXPECT_THAT(render({"--set", "attention.gate=" + gate, "--dry-run"}).out, HasSubstr("gate: \"" + gate));
  const ProgramRun video = render({"--set", "attention.gate=" + gate});
  ASSERT_EQ(video.status, 0) << video.err;

  std::ofstream(gate) << "flashblock_gate: 1\nheads: 2\nsteps: 2\nlayers:\n  - [\"11\", \"1\", \"11\"]\n";
  const ProgramRun broken = render({"--set", "attention.gate=" + gate, "--overwrite"});
  EXPECT_EQ(broken.status, 2);
  EXPECT_THAT(broken.err, HasSubstr("gate.yaml:5: layers[0][1]: found '1', wanted 2 digits"));
}

}  // namespace
}  // namespace flashblock
