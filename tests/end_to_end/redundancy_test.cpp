// `flashblock analyze redundancy` as users meet it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/end_to_end/program_run.h"
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
  const ProgramRun short_film = analyze({"--frames", "5"});
  EXPECT_EQ(short_film.status, 2);
  EXPECT_THAT(short_film.err, HasSubstr("one frame block, which has no past"));

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
  EXPECT_THAT(html, HasSubstr("a &lt;red&gt; hill"));
  EXPECT_THAT(html, Not(HasSubstr("<red>")));
  EXPECT_THAT(html, HasSubstr("title=\"layer 1, head 1: "));
  EXPECT_THAT(html, Not(HasSubstr("http")));
}

}  // namespace
}  // namespace flashblock
