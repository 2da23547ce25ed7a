// What belongs to the user is never overwritten: every file that a render writes is checked before it renders.
#include "render/output_check.h"

#include <ATen/ops/scalar_tensor.h>
#include <gmock/gmock.h>

#include <fstream>

#include "core/error.h"
#include "render/own_file.h"
#include "settings/config_file.h"
#include "settings/model_file.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"
#include "weights/tensor_file.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::error_line_of;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::TemporaryFolder;

constexpr const char* kMine = "{\"prompt\": \"mine\"}\n";
const std::string kSidecar =
    "{\n  \"program\": \"flashblock 0.1.0\",\n  \"video\": {\"file\": \"FILE\", \"frames\": 4}}\n";

class OutputCheck : public ::testing::Test {
 protected:
  RenderConfig config(const std::string& more, const std::string& output = "shot.mp4") const {
    RenderConfig config;
    const std::string yaml = "{prompt: a, seed: 1, size: 64x64, output: '" + output + "'" + more + "}";
    read_settings({.values = parse_yaml(yaml, "test"), .folder = folder_.path()}, config);
    return config;
  }
  /// Empty: nothing is refused.
  std::string refusal(const RenderConfig& config) const {
    const RenderSetup setup{.config = config, .plan = {.frames = 9}};
    try {
      check_output_names(config);
      check_outputs(setup);
      return "";
    } catch (...) {
      return report_error(std::current_exception()).line;
    }
  }
  std::string refusal(const std::string& more, const std::string& output = "shot.mp4") const {
    return refusal(config(more, output));
  }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }
  void write_sidecar_of(const std::string& name, const std::string& file) const {
    std::string text = kSidecar;
    write(name, text.replace(text.find("FILE"), 4, file));
  }

  TemporaryFolder folder_;
};

TEST_F(OutputCheck, ListsEverythingThatIsWritten) {
  std::vector<std::string> names;
  for (const WrittenFile& file : written_files(config(", contact_sheet: sheet.png, record: all.safetensors, "
                                                      "output_options: {tee: [copy.ts, 'udp://host:1']}")))
    names.push_back(file.path.filename());
  EXPECT_THAT(names, ::testing::ElementsAre("shot.mp4", "shot.json", "shot.parts", "shot.parts-done", "sheet.png",
                                            "all.safetensors", "copy.ts"));
  EXPECT_EQ(refusal(""), "");
}

TEST_F(OutputCheck, AnotherFileOfTheSidecarsNameIsKept) {
  write("shot.json", kMine);
  EXPECT_THAT(refusal(""), AllOf(HasSubstr("shot.json exists and was not written by flashblock"),
                                 HasSubstr("choose another name with output"), Not(HasSubstr("overwrite: true"))));
  EXPECT_THAT(refusal(", overwrite: true"), HasSubstr("shot.json exists and was not written by flashblock"));
  EXPECT_THAT(refusal(", resume: true"), HasSubstr("was not written by flashblock"));
  write_sidecar_of("shot.json", "shot.mp4");
  EXPECT_THAT(refusal(""), AllOf(HasSubstr("shot.json exists"), HasSubstr("overwrite: true")));
  EXPECT_EQ(refusal(", overwrite: true"), "") << "our own of an earlier video";
}

TEST_F(OutputCheck, OverwriteReplacesOnlyWhatFlashblockWrote) {
  write("shot.mp4", "from my camera");
  EXPECT_THAT(refusal(", overwrite: true"), HasSubstr("shot.mp4 exists and was not written by flashblock"));
  write_sidecar_of("shot.json", "shot.mkv");
  EXPECT_THAT(refusal(", overwrite: true"), HasSubstr("shot.mp4 exists")) << "the sidecar is of another video";
  write_sidecar_of("shot.json", "shot.mp4");
  EXPECT_EQ(refusal(", overwrite: true"), "") << "also a video that was cut short";
  write("sheet.png", "mine");
  EXPECT_THAT(refusal(", overwrite: true, contact_sheet: sheet.png"), HasSubstr("sheet.png exists and was not"));
  write_tensor_file(folder_ / "r.safetensors", {{"noise", at::scalar_tensor(1.0)}});
  EXPECT_THAT(refusal(", overwrite: true, record: r.safetensors"), HasSubstr("r.safetensors exists and was not"));
  write_tensor_file(folder_ / "r.safetensors", {{"noise", at::scalar_tensor(1.0)}}, {{"program", "flashblock 0.2.0"}});
  EXPECT_EQ(refusal(", overwrite: true, record: r.safetensors"), "");
}

TEST_F(OutputCheck, TheSidecarSaysWhichOtherFilesAreOurs) {
  write("shot.mp4", "");
  write("sheet.png", "");
  write("shot.json",
        "{\"program\": \"flashblock 0.1.0\", \"video\": {\"file\": \"shot.mp4\", \"frames\": 4}, "
        "\"configuration\": {\"contact_sheet\": \"" +
            (folder_ / "sheet.png").string() + "\"}}");
  EXPECT_EQ(refusal(", overwrite: true, contact_sheet: sheet.png"), "");
}

TEST_F(OutputCheck, AnInputIsNeverWritten) {
  write("shot.yaml", "prompt: a");
  write("r.safetensors", "x");
  RenderConfig from_file = config(", overwrite: true");
  write_sidecar_of("shot.json", "shot.mp4");
  from_file.sources = {folder_ / "shot.json"};
  EXPECT_THAT(refusal(from_file),
              AllOf(HasSubstr("shot.json would be written, and the video is made from it (settings)"),
                    HasSubstr("choose another name with output")));
  EXPECT_THAT(refusal(", overwrite: true, replay: r.safetensors, record: r.safetensors"),
              HasSubstr("made from it (replay)"));
  fs::create_symlink(folder_ / "r.safetensors", folder_ / "link.safetensors");
  EXPECT_THAT(refusal(", overwrite: true, replay: link.safetensors, record: r.safetensors"),
              HasSubstr("made from it (replay)"));
  write("own.mp4", "x");
  EXPECT_THAT(refusal(", overwrite: true, video: own.mp4", "own.mp4"), HasSubstr("made from it (video)"));
  RenderConfig weights = config(", overwrite: true, record: w.safetensors");
  weights.model.vae.path = folder_ / "w.safetensors";
  EXPECT_THAT(refusal(weights), HasSubstr("made from it (vae)"));
}

TEST_F(OutputCheck, NamesThatAreTooLongAreRefusedWithAllThatFollowFromThem) {
  EXPECT_EQ(refusal("", std::string(244, 'n') + ".mp4"), "");
  for (const int letters : {245, 246, 247, 249, 251})
    EXPECT_THAT(refusal("", std::string(letters, 'n') + ".mp4"), HasSubstr("too long")) << letters;
  EXPECT_THAT(refusal(", record: " + std::string(240, 'r') + ".safetensors"), HasSubstr("too long"));
}

TEST_F(OutputCheck, LinksAndFoldersAreRefused) {
  fs::create_symlink(folder_ / "mine.mp4", folder_ / "shot.mp4");
  EXPECT_THAT(refusal(", overwrite: true"), HasSubstr("shot.mp4 is a link to ")) << "a dangling one, too";
  fs::remove(folder_ / "shot.mp4");
  fs::create_directory(folder_ / "shot.json");
  EXPECT_THAT(refusal(", overwrite: true"), HasSubstr("shot.json is a folder"));
}

TEST_F(OutputCheck, TheFolderOfSegmentsMustBeOurs) {
  write("shot.parts/weights.safetensors", "mine");
  for (const char* more : {"", ", overwrite: true", ", resume: true"})
    EXPECT_THAT(refusal(more), AllOf(HasSubstr("shot.parts holds weights.safetensors"), HasSubstr("did not write")));
  fs::rename(folder_ / "shot.parts", folder_ / "shot.parts-done");
  EXPECT_THAT(refusal(", overwrite: true"), HasSubstr("shot.parts-done holds weights.safetensors"));
  fs::rename(folder_ / "shot.parts-done", folder_ / "other");
  fs::create_directory_symlink(folder_ / "other", folder_ / "shot.parts");
  EXPECT_THAT(refusal(", overwrite: true"), HasSubstr("shot.parts is a link"));
}

TEST_F(OutputCheck, ImagesOfOthersAreKept) {
  write("frames/000007.png", "mine");
  EXPECT_THAT(refusal("", "frames/%06d.png"), HasSubstr("000007.png exists and was not written by flashblock"));
  EXPECT_THAT(refusal(", overwrite: true", "frames/%06d.png"), HasSubstr("000007.png exists"));
  write("frames/000004.png", "");
  write_sidecar_of("frames/frames.json", "%06d.png");
  EXPECT_THAT(refusal(", overwrite: true", "frames/%06d.png"), HasSubstr("000007.png exists")) << "ours had four";
  fs::remove(folder_ / "frames/000007.png");
  EXPECT_EQ(refusal(", overwrite: true", "frames/%06d.png"), "");
  write("frames/000010.png", "mine");
  EXPECT_EQ(refusal(", overwrite: true", "frames/%06d.png"), "") << "beyond the video";
}

TEST_F(OutputCheck, TwoFilesOfOneNameAreRefused) {
  EXPECT_THAT(refusal(", output_options: {tee: [shot.mp4]}"), HasSubstr("shot.mp4 would be written twice"));
}

TEST_F(OutputCheck, FilesUnderTheirUnfinishedNameAreKept) {
  write("shot.mp4.part", "another program downloads this");
  EXPECT_THAT(refusal(""), HasSubstr("shot.mp4.part exists and was not written by flashblock"));
}

TEST(OwnFile, ReportsSayWhatTheyAre) {
  const TemporaryFolder folder;
  const auto own = [&](const std::string& name, const std::string& text) {
    std::ofstream(folder / name) << text;
    return is_own_file(folder / name);
  };
  EXPECT_TRUE(own("a.json", "{\n    \"program\": \"flashblock 0.2.0\"\n}"));
  EXPECT_FALSE(own("b.json", "{\"model\": \"/opt/flashblock/models\"}"));
  EXPECT_FALSE(own("c.json", "{\"program\": \"ffmpeg\", \"note\": \"flashblock \"}"));
  EXPECT_TRUE(own("a.html", "<script type=\"application/json\" id=\"data\">{\"program\":\"flashblock 1\"}</script>"));
  EXPECT_FALSE(own("b.html", "<p>flashblock</p>"));
  EXPECT_TRUE(own("a.yaml", "# Heads\nflashblock_gate: 1\n"));
  EXPECT_FALSE(own("b.yaml", "model: flashblock\n"));
  EXPECT_FALSE(own("a.mp4", "no video"));
  EXPECT_FALSE(is_own_file(folder / "gone.json"));
}

TEST(OwnFile, ReportsAreReplacedOnRequestOnly) {
  const TemporaryFolder folder;
  EXPECT_NO_THROW(check_report_file(folder / "new.json", false));
  std::ofstream(folder / "mine.json") << kMine;
  std::ofstream(folder / "own.json") << "{\"program\": \"flashblock 0.2.0\"}";
  EXPECT_THAT(error_line_of([&] { check_report_file(folder / "mine.json", true); }), HasSubstr("was not written by"));
  EXPECT_THAT(error_line_of([&] { check_report_file(folder / "own.json", false); }),
              AllOf(HasSubstr("own.json exists"), HasSubstr("overwrite: true")));
  EXPECT_NO_THROW(check_report_file(folder / "own.json", true));
  EXPECT_THAT(error_line_of([&] { check_report_file(folder / "own.json", true, {folder / "own.json"}); }),
              HasSubstr("reads"));
  EXPECT_THAT(error_line_of([&] { check_report_file(folder / "gone/own.json", true); }), HasSubstr("no such folder"));
}

}  // namespace
}  // namespace flashblock
