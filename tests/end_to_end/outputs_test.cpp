// `flashblock render` into other containers, to standard output and to receivers.
#include <ATen/TensorOperators.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "media/video_reader.h"
#include "tests/end_to_end/program_run.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;
using namespace testing;
using ::testing::AllOf;
using ::testing::HasSubstr;

class RenderOutputs : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = new TemporaryFolder;
    write_prompted_model(*shared_ / "model");
  }
  static void TearDownTestSuite() { delete shared_; }

  /// A command of the shell, in the test's folder, that renders a red hill.
  std::string command(const std::string& more) const {
    const char* other = std::getenv("FLASHBLOCK_PROGRAM");
    return "cd " + folder_.path().string() + " && " + (other ? other : FLASHBLOCK_PROGRAM) +
           " render 'a red hill' --model " + (*shared_ / "model").string() + " --seed 7 --device cpu --dtype float32 " +
           (more.find("--frames") == more.npos ? "--frames 57 " : "") + more;
  }
  ProgramRun render(const std::string& more) const { return run_command(command(more)); }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_.path())) names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

  static TemporaryFolder* shared_;
  TemporaryFolder folder_;
};

TemporaryFolder* RenderOutputs::shared_ = nullptr;

TEST_F(RenderOutputs, StandardOutputGetsTheVideoAndNoFileIsLeft) {
  ASSERT_EQ(render("-o video.mp4").status, 0);
  const ProgramRun run = render("-o - >piped.mp4");
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("standard output: 57 frames"));
  EXPECT_TENSORS_IDENTICAL(read_video(folder_ / "piped.mp4"), read_video(folder_ / "video.mp4"));
  const ProgramRun raw = render("--quiet -o -.y4m >piped.y4m");
  ASSERT_EQ(raw.status, 0) << raw.err;
  EXPECT_EQ(raw.err, "");
  EXPECT_EQ((fs::file_size(folder_ / "piped.y4m") - 1) / (48 * 32 * 3 / 2 + 6), 57u);
  EXPECT_THAT(files(), ::testing::ElementsAre("piped.mp4", "piped.y4m", "video.json", "video.mp4"));
}

TEST_F(RenderOutputs, AReaderThatLeavesKeepsTheSegments) {
  const ProgramRun run = run_command("({ " + command("--frames 201 --quiet -o -.y4m") +
                                     "; echo status $? >&2; } | head -c 5000 >/dev/null)");
  EXPECT_THAT(run.err, AllOf(HasSubstr("status 5\n"), HasSubstr("the reader of standard output has closed it"),
                             HasSubstr("render --resume --output -.y4m --seed 7")));
  ASSERT_TRUE(fs::exists(folder_ / "flashblock-7-a-red-hill.parts/000000.m4s"));
  const char* other = std::getenv("FLASHBLOCK_PROGRAM");
  const ProgramRun again = run_command("cd " + folder_.path().string() + " && " + (other ? other : FLASHBLOCK_PROGRAM) +
                                       " render --resume --output -.y4m --seed 7 --quiet >resumed.y4m");
  ASSERT_EQ(again.status, 0) << again.err;
  ASSERT_EQ(render("--frames 201 --quiet -o -.y4m >whole.y4m").status, 0);
  EXPECT_EQ(read_text(folder_ / "resumed.y4m"), read_text(folder_ / "whole.y4m"));
  EXPECT_THAT(files(), ::testing::ElementsAre("resumed.y4m", "whole.y4m"));
}

TEST_F(RenderOutputs, TenBitsImagesAndAYamlFile) {
  std::ofstream(folder_ / "render.yaml")
      << "output: deep.mkv\n"
         "output_options: {codec: ffv1, pixel_format: yuv420p10le, tee: [sent.ts]}\n";
  const ProgramRun refused = render("-c render.yaml");
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.err, HasSubstr("ffv1 is not sent there, wanted h264 or hevc"));
  const ProgramRun deep = render("-c render.yaml --set output_options.tee=[]");
  ASSERT_EQ(deep.status, 0) << deep.err;
  EXPECT_EQ(VideoReader(folder_ / "deep.mkv").info().pixel_format, "yuv420p10le");
  const ProgramRun sent = render("-o video.mp4 --tee sent.ts");
  ASSERT_EQ(sent.status, 0) << sent.err;
  EXPECT_TENSORS_IDENTICAL(read_video(folder_ / "sent.ts"), read_video(folder_ / "video.mp4"));
  const ProgramRun images = render("-o images/%06d.png --frames 9");
  ASSERT_EQ(images.status, 0) << images.err;
  EXPECT_TRUE(fs::exists(folder_ / "images/000009.png"));
  EXPECT_FALSE(fs::exists(folder_ / "images/000010.png"));
  EXPECT_TRUE(fs::exists(folder_ / "images/frames.json"));
  EXPECT_FALSE(fs::exists(folder_ / "images/frames.parts"));
  EXPECT_EQ(render("-o video.mov --codec h264").status, 2);
  EXPECT_EQ(render("-o more/%06d.png --audio sent.ts").status, 2);
  EXPECT_EQ(render("-o video2.mp4 --audio render.yaml").status, 5);
  EXPECT_EQ(render("-o video2.mp4 --codec hevc --preview 0").status, 2);
}

}  // namespace
}  // namespace flashblock
