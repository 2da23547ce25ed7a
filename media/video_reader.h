// Decodes video files.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "media/orientation.h"

namespace flashblock {

/// Properties of a video file, from its container and its stream.
struct VideoInfo {
  int64_t width = 0;         ///< pixels, as stored
  int64_t height = 0;        ///< pixels, as stored
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

/// One decoded frame as it is stored, and how it is shown. Frames of one file may have several sizes.
struct VideoFrame {
  at::Tensor rgb;           ///< [H, W, 3] uint8
  double pixel_aspect = 1;  ///< width of a stored pixel by its height
  Orientation orientation;  ///< of the file's display matrix
  double seconds = 0;       ///< presentation time
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
  /// The next frame; false at the end. Fills the memory of `frame.rgb` again if nobody else holds it. Throws:
  /// MediaError for damaged data.
  bool next(VideoFrame& frame);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// All frames of a video, upright, or its last `last_frames`. Only these are kept in memory.
/// Shape: [T, 3, H, W] float32 in [0, 1]. Throws: MediaError; also for frames of several sizes.
at::Tensor read_video(const std::filesystem::path& file, int64_t last_frames = -1);

/// The last `last_frames` of a video as players show them, each fitted to `width` x `height` (fill_size) as soon as it
/// is decoded. Shape: [T, 3, height, width] float32 in [0, 1]. Throws: MediaError.
at::Tensor read_video(const std::filesystem::path& file, int64_t width, int64_t height, int64_t last_frames);

}  // namespace flashblock
