// How a video is encoded: frame size, frame rate, codec and the settings of its encoder.
#pragma once

#include <cstdint>
#include <string>

#include "media/video_codec.h"

namespace flashblock {

/// Settings of the encoder. ProRes, FFV1 and PNG use `threads` only. The same settings, frames and library versions
/// give the same bytes.
struct EncoderSettings {
  std::string preset = "fast";  ///< ultrafast, superfast, veryfast, faster, fast, medium, slow, slower or veryslow
  int crf = 18;                 ///< constant rate factor, 0 (lossless) to 51
  int threads = 4;              ///< 1 to 64; fixed, because the bytes depend on it
};

/// The place of a preset in this list, 0 being the fastest; -1 if it is none.
int preset_index(const std::string& preset);

/// Frame size, frame rate and encoder of one video.
struct VideoFormat {
  int64_t width = 0;   ///< pixels, even
  int64_t height = 0;  ///< pixels, even
  int64_t fps = 16;    ///< frames per second, 1 to 240; one frame is 1000 ticks of the video's clock
  EncoderSettings encoder;
  VideoEncoding encoding;

  /// Throws: ConfigError for settings that the encoder rejects: what was found and what was wanted.
  void validate() const;
};

/// Estimated upper bound for the size of `frames` frames, segments and video together (both exist while the segments
/// are joined). Conservative: grainy material at crf 18 stays below it.
int64_t estimated_bytes(const VideoFormat& format, int64_t frames);

/// The media libraries in use, e.g. "FFmpeg 5.1.9, OpenCV 4.6.0".
std::string media_library_versions();

}  // namespace flashblock
