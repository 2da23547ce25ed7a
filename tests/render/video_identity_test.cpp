// A queue of videos: what is read from its models, and how often.
#include "render/video_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "render/render.h"
#include "settings/config_file.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_data.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

TEST(WeightsFileLists, HeadersAreReadOnceForEachSetOfWeights) {
  std::vector<std::string> read;
  WeightsFileLists lists([&](const WeightsFile& weights) {
    read.push_back(weights.path.string() + ":" + weights.entry);
    return std::vector<fs::path>{weights.path, weights.entry};
  });
  for (int video = 0; video < 500; ++video) {
    EXPECT_THAT(lists.files_of({.path = "a.pt"}), ElementsAre("a.pt", ""));
    EXPECT_THAT(lists.files_of({.path = "a.pt", .entry = "ema"}), ElementsAre("a.pt", "ema"));
    EXPECT_THAT(lists.files_of({.path = "b.pt"}), ElementsAre("b.pt", ""));
  }
  EXPECT_THAT(read, ElementsAre("a.pt:", "a.pt:ema", "b.pt:"));
}

TEST(WeightsFileLists, AFaultIsNotKept) {
  int attempts = 0;
  WeightsFileLists lists([&](const WeightsFile&) -> std::vector<fs::path> {
    if (++attempts == 1) throw std::runtime_error("not there yet");
    return {"a.pt"};
  });
  EXPECT_ANY_THROW(lists.files_of({.path = "a.pt"}));
  EXPECT_THAT(lists.files_of({.path = "a.pt"}), ElementsAre("a.pt"));
}

/// The demo model, with a decoder that a test may change.
class IdentityOfAQueue : public ::testing::Test {
 protected:
  void SetUp() override {
    const fs::path demo = fs::canonical(testing::test_data("../../assets/demo"));
    fs::create_directory(model());
    for (const auto& entry : fs::directory_iterator(demo)) {
      const fs::path copy = model() / entry.path().filename();
      if (copy.filename() == "wan_vae.safetensors") {
        fs::copy_file(entry.path(), copy);
      } else {
        fs::create_symlink(entry.path(), copy);
      }
    }
  }
  fs::path model() const { return folder_ / "model"; }
  fs::path decoder() const { return model() / "wan_vae.safetensors"; }
  CheckedVideo check(const std::string& name) {
    std::ofstream(folder_ / "video.yaml") << "{model: model, prompt: a hill, seed: 1, device: cpu, dtype: float32, "
                                          << "seconds: 1, output: " << name << ".mp4}\n";
    return renderer_.check(resolve_config({load_config_layer(folder_ / "video.yaml")}));
  }
  void overwrite_header(const std::string& bytes) const {
    std::fstream(decoder(), std::ios::binary | std::ios::in | std::ios::out) << bytes;
  }
  static int64_t decoder_time(const VideoIdentity& identity) {
    for (const IdentityFile& file : identity.files)
      if (file.role == "vae") return file.modified_ns;
    return 0;
  }

  testing::TemporaryFolder folder_;
  Renderer renderer_;
};

TEST_F(IdentityOfAQueue, HeadersAreReadForTheFirstVideoOfAModel) {
  const CheckedVideo first = check("first");
  overwrite_header("no safetensors");  // whoever reads it again refuses it
  fs::last_write_time(decoder(), fs::last_write_time(decoder()) + std::chrono::seconds(5));
  const CheckedVideo second = check("second");
  ASSERT_EQ(second.identity.files.size(), first.identity.files.size());
  EXPECT_NE(decoder_time(second.identity), decoder_time(first.identity)) << "the files themselves are looked at";
  Renderer another;
  EXPECT_ANY_THROW(another.check(second.setup.config)) << "the header is sound: the test is vacuous";
}

}  // namespace
}  // namespace flashblock
