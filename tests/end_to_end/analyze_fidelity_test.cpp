// `flashblock analyze fidelity` as users meet it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "media/video_reader.h"
#include "tests/end_to_end/program_run.h"
#include "tests/support/page_data.h"
#include "tests/support/temporary_folder.h"

namespace flashblock {
namespace {

using namespace testing;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;
using Words = std::vector<std::string>;
using Json = nlohmann::json;

class Fidelity : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = new TemporaryFolder;
    write_prompted_model(*shared_ / "model");
  }
  static void TearDownTestSuite() { delete shared_; }

  /// Three frame blocks, so that two have a past.
  ProgramRun analyze(const Words& more) const {
    Words words = {"analyze", "fidelity", "a <red> hill", "--model", *shared_ / "model", "--seed", "7",   "--frames",
                   "30",      "--device", "cpu",          "--dtype", "float32",          "-o",     page()};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words);
  }
  std::string page() const { return folder_ / "report.html"; }
  Json report() const { return read_json(folder_ / "report.json"); }

  static TemporaryFolder* shared_;
  TemporaryFolder folder_;
};

TemporaryFolder* Fidelity::shared_ = nullptr;

TEST_F(Fidelity, LeavesAPageNumbersAndAVideo) {
  const ProgramRun run = analyze({"--policy", "first_pass", "--policy", "every_pass", "--other-seed", "9"});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.err, "");
  EXPECT_THAT(run.out, HasSubstr("first_pass: Computed the external attention in 44.4 %"));
  EXPECT_THAT(run.out, HasSubstr(page()));

  const Json runs = report().at("runs");
  ASSERT_EQ(runs.size(), 5u);
  const Json &exact = runs[0], &reuse = runs[1], &every = runs[2], &floor = runs[3], &other = runs[4];
  EXPECT_EQ(exact.at("kind"), "exact");
  EXPECT_TRUE(exact.at("summary").at("frame_psnr_db").is_null());
  EXPECT_EQ(exact.at("computed_share"), 1);
  // Two layers; three passes in the second block, the clean one without the last layer, two passes in the third.
  EXPECT_EQ(reuse.at("external_attentions_computed"), 2 * (2 + 2));
  EXPECT_EQ(reuse.at("external_attentions_reused"), 2 * (2 + 1 + 2));
  EXPECT_EQ(floor.at("blocks"), every.at("blocks")) << "the noise floor is exact attention, summed apart";
  EXPECT_EQ(other.at("seed"), 9);

  const auto first_blocks_psnr = [](const Json& one) { return one.at("blocks").at("frame_psnr_db")[0]; };
  EXPECT_TRUE(first_blocks_psnr(reuse).is_null()) << "without a past all attention is the same, bit for bit";
  EXPECT_TRUE(first_blocks_psnr(other).is_number());
  const auto latent_psnr = [](const Json& one) { return one.at("summary").at("latent_psnr_db").get<double>(); };
  EXPECT_GT(latent_psnr(floor), 100) << "rounding of float32";
  EXPECT_GT(latent_psnr(floor), latent_psnr(reuse));
  EXPECT_GT(latent_psnr(reuse), latent_psnr(other));
  EXPECT_LT(other.at("summary").at("frame_ssim"), 1);
  EXPECT_TRUE(every.at("verdict").at("first_5_seconds_within_3_db_of_noise_floor"));
  EXPECT_FALSE(every.at("verdict").at("computes_at_most_40_percent"));
  EXPECT_EQ(exact.at("blocks").at("brightness").size(), 3u);

  const std::string html = read_text(page());
  EXPECT_THAT(html, Not(HasSubstr("<red>")));
  EXPECT_THAT(html, Not(HasSubstr("http"))) << "a page that opens without a network";
  Json data = page_data(html);
  EXPECT_EQ(data.at("prompt"), "a <red> hill");
  ASSERT_EQ(data.at("stills").size(), 6u);
  EXPECT_EQ(data.at("stills").back().at("seconds"), 29.0 / 16);
  for (const Json& still : data.at("stills")) {
    EXPECT_THAT(still.at("images").get<Words>(), AllOf(SizeIs(5), Each(StartsWith("data:image/jpeg;base64,/9j/"))));
  }
  EXPECT_THAT(data.at("video").get<std::string>(), StartsWith("data:video/mp4;base64,"));
  data.erase("stills");
  data.erase("video");
  data.erase("poster");
  EXPECT_EQ(data, report()) << "apart from images, the page and the file have the same numbers";
  EXPECT_EQ(read_video(folder_ / "report.mp4").size(0), 30);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "report.parts"));
}

TEST_F(Fidelity, JudgesThePolicyOfTheConfigurationWithoutAVideoOrAPrompt) {
  const ProgramRun run = analyze(
      {"--side-by-side", "none", "--no-metadata", "--stills", "1", "--set", "attention.refresh=first_pass", "--quiet"});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, "");
  EXPECT_EQ(report().at("runs")[1].at("name"), "first_pass");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "report.mp4"));
  EXPECT_EQ(page_data(read_text(page())).at("video"), "");
  EXPECT_EQ(page_data(read_text(page())).at("stills").size(), 1u);
  EXPECT_THAT(read_text(page()), Not(HasSubstr("hill")));
  EXPECT_THAT(read_text(folder_ / "report.json"), Not(HasSubstr("hill")));
}

TEST_F(Fidelity, RefusesWhatItCannotDo) {
  const auto refused = [&](const Words& more, const std::string& says) {
    const ProgramRun run = analyze(more);
    EXPECT_EQ(run.status, 2) << says;
    EXPECT_THAT(run.err, HasSubstr(says));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "report.json"));
  };
  refused({"--policy", "sometimes"}, "'sometimes' is unknown; possible are every_pass");
  refused({"--policy", "first_pass,often"}, "found 'often', wanted KEY=VALUE");
  refused({"--policy", "first_pass,tau=2"}, "attention.tau: unknown key");
  refused({"--other-seed", "7"}, "is the seed of the video itself");
  refused({"--side-by-side", "outside"}, "wanted inside, beside or none");
  EXPECT_THAT(run_program({"analyze", "fidelity", "a hill", "--model", *shared_ / "model", "-o", "report.txt"}).err,
              HasSubstr("ends in .html"));
  EXPECT_THAT(run_program({"analyze"}).err, HasSubstr("see flashblock analyze --help"));
  refused({"--stills", "0"}, "see flashblock analyze fidelity --help");
}

TEST_F(Fidelity, LeavesExistingFilesAlone) {
  std::ofstream(page()) << "mine";
  const ProgramRun run = analyze({});
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, HasSubstr("report.html exists and was not written by flashblock"));
  EXPECT_EQ(read_text(page()), "mine");
}

}  // namespace
}  // namespace flashblock
