#include "media/video_format.h"

#include <algorithm>
#include <array>
#include <opencv2/core/utility.hpp>

#include "core/error.h"
#include "media/ffmpeg_handles.h"

namespace flashblock {
namespace {

constexpr std::array kPresets = {"ultrafast", "superfast", "veryfast", "faster",  "fast",
                                 "medium",    "slow",      "slower",   "veryslow"};
constexpr int64_t kMaxSide = 16384;  // pixels; x264's limit

void require(bool holds, const std::string& name, const std::string& found, const std::string& wanted) {
  if (!holds) throw ConfigError(name + " is " + found + ", wanted " + wanted);
}

}  // namespace

int preset_index(const std::string& preset) {
  const auto* found = std::find(kPresets.begin(), kPresets.end(), preset);
  return found == kPresets.end() ? -1 : static_cast<int>(found - kPresets.begin());
}

void VideoFormat::validate() const {
  const auto is_side = [](int64_t side) { return side >= 2 && side <= kMaxSide && side % 2 == 0; };
  require(is_side(width) && is_side(height), "the video's size", std::to_string(width) + "x" + std::to_string(height),
          "even numbers from 2 to " + std::to_string(kMaxSide));
  require(fps >= 1 && fps <= 240, "fps", std::to_string(fps), "1 to 240");
  require(preset_index(encoder.preset) >= 0, "the encoder's preset", "'" + encoder.preset + "'",
          "ultrafast, superfast, veryfast, faster, fast, medium, slow, slower or veryslow");
  require(encoder.crf >= 0 && encoder.crf <= 51, "the encoder's crf", std::to_string(encoder.crf), "0 to 51");
  require(encoder.threads >= 1 && encoder.threads <= 64, "the encoder's threads", std::to_string(encoder.threads),
          "1 to 64");
}

int64_t estimated_bytes(const VideoFormat& format, int64_t frames) {
  const int64_t bits = 2 * bits_per_pixel(format.encoding);  // in the segments and in the video
  return format.width * format.height * frames * bits / 8;
}

std::string media_library_versions() {
  return std::string("FFmpeg ") + av_version_info() + ", OpenCV " + cv::getVersionString();
}

}  // namespace flashblock
