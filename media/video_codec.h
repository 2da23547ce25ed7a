// What a video is written as: container, codec and pixel format, and which of them go together.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace flashblock {

/// Where the encoded frames go.
enum class Container {
  kMp4,        ///< NAME.mp4
  kMatroska,   ///< NAME.mkv
  kMov,        ///< NAME.mov
  kImages,     ///< FOLDER/%06d.png, from 1
  kMp4Stream,  ///< fragmented MP4 on standard output
  kY4mStream,  ///< raw frames on standard output
};

enum class VideoCodec { kH264, kHevc, kAv1, kProres, kFfv1, kPng };

/// How frames are encoded.
struct VideoEncoding {
  VideoCodec codec = VideoCodec::kH264;
  std::string pixel_format = "yuv420p";  ///< FFmpeg's name

  bool operator==(const VideoEncoding&) const = default;
};

/// The container of a file, by its ending. Throws: ConfigError for other endings.
Container container_of(const std::filesystem::path& video);

/// Ending of the name that stands for a video on standard output, which is no file itself: NAME.stream has NAME.parts.
inline constexpr const char* kStreamEnding = ".stream";

/// `-` is kMp4Stream and `-.y4m` kY4mStream; everything else is a file.
bool is_standard_output(const std::string& output);
Container standard_output_container(const std::string& output);

/// The encoding of a video: `codec` and `pixel_format` are names, empty ones stand for the container's default.
/// Throws: ConfigError if they do not go together, or are no names of any.
VideoEncoding resolve_encoding(Container container, const std::string& codec, const std::string& pixel_format);

/// Throws: ConfigError, naming what is missing, if the FFmpeg in use cannot write this.
void check_encoder_exists(Container container, const VideoEncoding& encoding);

/// "h264".
std::string to_string(VideoCodec codec);
/// The encoder of FFmpeg: "libx264".
const char* encoder_name(VideoCodec codec);
/// Whether frames are encoded from 8-bit RGB: of the formats with 8 bits those that need no more. All others are
/// converted from floats.
bool takes_rgb24(const VideoEncoding& encoding);
/// FFmpeg's muxer for segments of this codec: `mp4`, or `mov` for codecs that MP4 does not have.
const char* segment_muxer(VideoCodec codec);
/// Estimated upper bound of the bits that a pixel takes.
int64_t bits_per_pixel(const VideoEncoding& encoding);

}  // namespace flashblock
