// Decodes video files.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace flashblock {

/// Properties of a video file, from its container and its stream.
struct VideoInfo {
  int64_t width = 0;         ///< pixels
  int64_t height = 0;        ///< pixels
  double fps = 0;            ///< average frames per second
  int64_t frames = 0;        ///< as the container states them; 0: it does not
  double start_seconds = 0;  ///< time of the first frame
  std::string codec;         ///< "h264"
  std::string pixel_format;  ///< "yuv420p"
  std::string color_range;   ///< "tv" (limited) or "pc" (full)
  std::string color_matrix;  ///< "bt709"
  std::string color_primaries;
  std::string color_transfer;
  std::map<std::string, std::string> metadata;
};

/// One decoded frame.
struct VideoFrame {
  at::Tensor rgb;      ///< [H, W, 3] uint8
  double seconds = 0;  ///< presentation time
  bool key_frame = false;
};

/// Decodes a video from its beginning, frame by frame, in presentation order.
/// Thread safety: none; one thread at a time.
class VideoReader {
 public:
  /// Opens a video file. Throws: MediaError if it holds no video stream.
  explicit VideoReader(const std::filesystem::path& file);
  ~VideoReader();
  VideoReader(VideoReader&&) noexcept;

  const VideoInfo& info() const;
  /// The next frame; false at the end. Throws: MediaError for damaged data.
  bool next(VideoFrame& frame);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// All frames of a video, or its last `last_frames`. Only these are kept in memory.
/// Shape: [T, 3, H, W] float32 in [0, 1]. Throws: MediaError.
at::Tensor read_video(const std::filesystem::path& file, int64_t last_frames = -1);

}  // namespace flashblock
