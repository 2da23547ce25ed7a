// Whether a finished video is still there and plays.
#include "render/finished_video.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "media/video_writer.h"
#include "tests/media/test_video.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;
using testing::error_text;
using ::testing::HasSubstr;

constexpr int64_t kFrames = 24;

class FinishedVideoFile : public ::testing::TestWithParam<const char*> {
 protected:
  /// A finished video with its sidecar.
  fs::path write(const fs::path& name, int64_t frames = kFrames) const {
    const fs::path video = folder_ / name;
    VideoFormat format = testing::small_format();
    format.encoding = resolve_encoding(container_of(video), "", "");
    VideoWriter writer(video, format, ExistingVideo::kReplace);
    for (int64_t done = 0; done < frames; done += 8)
      writer.write(testing::pattern_frames(done, 8, format.width, format.height));
    writer.join({});
    writer.remove_parts();
    nlohmann::ordered_json summary = written_video_json(video, frames);
    summary["file"] = video.filename().string();
    summary["frames"] = frames;
    std::ofstream(companion_file(video, ".json"))
        << nlohmann::ordered_json{{"program", "flashblock 0.1.0"}, {"video", summary}};
    return video;
  }
  static void touch(const fs::path& file) {
    fs::last_write_time(file, fs::last_write_time(file) + std::chrono::seconds(5));
  }
  static FinishedState state(const fs::path& video) { return inspect_finished_video(video, false).state; }

  testing::TemporaryFolder folder_;
};

TEST_P(FinishedVideoFile, IsWholeAsLongAsItsContentIs) {
  const fs::path video = write(GetParam());
  EXPECT_TRUE(is_whole(video, false));
  touch(first_file(video));
  EXPECT_TRUE(is_whole(video, false)) << "copied or moved, with another time";
}

TEST_P(FinishedVideoFile, IsDamagedIfItDoesNotPlayToItsEnd) {
  const auto damaged_by = [&](const std::function<void(const fs::path&)>& damage) {
    const fs::path video = write(GetParam());
    damage(first_file(video));
    return state(video) == FinishedState::kDamaged;
  };
  for (const double part : {0.0, 0.3, 0.9}) {
    EXPECT_TRUE(damaged_by([&](const fs::path& file) {
      fs::resize_file(file, static_cast<uintmax_t>(part * static_cast<double>(fs::file_size(file))));
    })) << part;
  }
  EXPECT_TRUE(damaged_by([](const fs::path& file) {
    const uintmax_t bytes = fs::file_size(file);
    fs::resize_file(file, 0);
    fs::resize_file(file, bytes);
    touch(file);
  })) << "zeros, of the same length";
  EXPECT_TRUE(damaged_by([](const fs::path& file) { fs::remove(file); }));
  EXPECT_TRUE(damaged_by([](const fs::path& file) {
    fs::remove(file);
    fs::create_directory(file);
  }));
}

INSTANTIATE_TEST_SUITE_P(Containers, FinishedVideoFile,
                         ::testing::Values("a.mp4", "a.mkv", "a.mov", "images/%06d.png"));

TEST_F(FinishedVideoFile, AnotherVideoInItsPlaceIsRefusedByName) {
  const fs::path video = write("a.mp4"), other = write("b.mp4", 16);
  fs::copy_file(other, video, fs::copy_options::overwrite_existing);
  EXPECT_EQ(state(video), FinishedState::kReplaced);
  EXPECT_THAT(error_text<ConfigError>([&] { is_whole(video, false); }),
              ::testing::AllOf(HasSubstr(video.string()), HasSubstr("when it was written")));
}

TEST_F(FinishedVideoFile, EveryImageCounts) {
  const fs::path video = write("images/%06d.png");
  fs::remove(folder_ / "images/000011.png");
  EXPECT_EQ(state(video), FinishedState::kDamaged);
}

TEST_F(FinishedVideoFile, WithoutARecordItMustPlay) {
  const fs::path video = write("a.mp4");
  std::ofstream(folder_ / "a.json") << R"({"video": {"frames": 24}})";  // of an earlier version
  EXPECT_TRUE(is_whole(video, false));
  fs::resize_file(video, fs::file_size(video) / 2);
  EXPECT_FALSE(is_whole(video, false));
  std::ofstream(folder_ / "a.json") << "{";
  EXPECT_FALSE(is_whole(video, false));
}

}  // namespace
}  // namespace flashblock
