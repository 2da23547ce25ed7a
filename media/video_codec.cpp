#include "media/video_codec.h"

#include <algorithm>
#include <array>
#include <vector>

#include "core/error.h"
#include "media/ffmpeg_handles.h"

namespace flashblock {
namespace {

constexpr const char* kDefaultPixelFormat = "yuv420p";

struct CodecTraits {
  VideoCodec codec;
  const char* name;
  const char* encoder;
  std::vector<std::string> pixel_formats;  ///< the default first
};

struct ContainerTraits {
  Container container;
  const char* name;                ///< in messages
  const char* muxer;               ///< FFmpeg's
  std::vector<VideoCodec> codecs;  ///< the default first
};

const std::vector<CodecTraits>& codecs() {
  static const std::vector<std::string> kAll = {kDefaultPixelFormat, "yuv420p10le", "yuv422p10le", "yuv444p"};
  static const std::vector<CodecTraits> table = {
      {VideoCodec::kH264, "h264", "libx264", kAll},  {VideoCodec::kHevc, "hevc", "libx265", kAll},
      {VideoCodec::kAv1, "av1", "libaom-av1", kAll}, {VideoCodec::kProres, "prores", "prores_ks", {"yuv422p10le"}},
      {VideoCodec::kFfv1, "ffv1", "ffv1", kAll},     {VideoCodec::kPng, "png", "png", {"rgb24"}},
  };
  return table;
}

const std::vector<ContainerTraits>& containers() {
  using enum VideoCodec;
  static const std::vector<ContainerTraits> table = {
      {Container::kMp4, ".mp4", "mp4", {kH264, kHevc, kAv1}},
      {Container::kMatroska, ".mkv", "matroska", {kH264, kHevc, kAv1, kFfv1}},
      {Container::kMov, ".mov", "mov", {kProres}},
      {Container::kImages, "an image sequence", "mov", {kPng}},
      {Container::kMp4Stream, "MP4 on standard output", "mp4", {kH264, kHevc, kAv1}},
      {Container::kY4mStream, "raw frames on standard output", "mov", {kFfv1}},
  };
  return table;
}

const CodecTraits& traits(VideoCodec codec) {
  return *std::find_if(codecs().begin(), codecs().end(), [&](const CodecTraits& row) { return row.codec == codec; });
}

const ContainerTraits& traits(Container container) {
  return *std::find_if(containers().begin(), containers().end(),
                       [&](const ContainerTraits& row) { return row.container == container; });
}

/// "a, b or c".
std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == names.size() ? " or " : ", ") + names[i];
  }
  return text;
}

std::vector<std::string> names_of(const std::vector<VideoCodec>& list) {
  std::vector<std::string> names;
  names.reserve(list.size());
  for (const VideoCodec codec : list) names.push_back(to_string(codec));
  return names;
}

VideoCodec resolve_codec(const ContainerTraits& container, const std::string& name) {
  // Images and raw frames leave no choice.
  const bool choice = container.container != Container::kImages && container.container != Container::kY4mStream;
  if (name.empty()) return container.codecs.front();
  for (const VideoCodec codec : container.codecs) {
    if (choice && to_string(codec) == name) return codec;
  }
  throw ConfigError("codec is '" + name + "' for " + container.name + ", wanted " +
                    (choice ? list_of(names_of(container.codecs)) : "none"));
}

std::string resolve_pixel_format(const ContainerTraits& container, const CodecTraits& codec, const std::string& name) {
  if (name.empty()) {
    // Frames that are kept without loss keep their chroma, too; what reads raw frames expects it at half the size.
    const bool lossless = codec.codec == VideoCodec::kFfv1 && container.container == Container::kMatroska;
    return lossless ? "yuv444p" : codec.pixel_formats.front();
  }
  const bool choice = container.container != Container::kImages;
  if (choice && std::find(codec.pixel_formats.begin(), codec.pixel_formats.end(), name) != codec.pixel_formats.end()) {
    return name;
  }
  throw ConfigError("pixel_format is '" + name + "' for " +
                    (choice ? std::string(codec.name) : std::string(container.name)) + ", wanted " +
                    (choice ? list_of(codec.pixel_formats) : "none"));
}

bool encoder_takes(const AVCodec& encoder, const std::string& pixel_format) {
  if (!encoder.pix_fmts) return true;
  const AVPixelFormat wanted = av_get_pix_fmt(pixel_format.c_str());
  for (const AVPixelFormat* format = encoder.pix_fmts; *format != AV_PIX_FMT_NONE; ++format) {
    if (*format == wanted) return true;
  }
  return false;
}

}  // namespace

Container container_of(const std::filesystem::path& video) {
  const std::string ending = video.extension().string();
  if (!video.stem().empty()) {
    if (ending == ".mp4") return Container::kMp4;
    if (ending == ".mkv") return Container::kMatroska;
    if (ending == ".mov") return Container::kMov;
    if (video.filename() == "%06d.png") return Container::kImages;
  }
  throw ConfigError("the output is '" + video.string() +
                        "', wanted a name that ends in .mp4, .mkv or .mov, FOLDER/%06d.png, or - or -.y4m for "
                        "standard output",
                    {.key = "output"});
}

bool is_standard_output(const std::string& output) { return output == "-" || output == "-.y4m"; }

Container standard_output_container(const std::string& output) {
  return output == "-.y4m" ? Container::kY4mStream : Container::kMp4Stream;
}

VideoEncoding resolve_encoding(Container container, const std::string& codec, const std::string& pixel_format) {
  const VideoCodec found = resolve_codec(traits(container), codec);
  return {.codec = found, .pixel_format = resolve_pixel_format(traits(container), traits(found), pixel_format)};
}

void check_encoder_exists(Container container, const VideoEncoding& encoding) {
  silence_ffmpeg_log();
  const CodecTraits& codec = traits(encoding.codec);
  const AVCodec* encoder = avcodec_find_encoder_by_name(codec.encoder);
  if (!encoder) {
    throw ConfigError("the codec " + std::string(codec.name) + " needs " + codec.encoder +
                      ", which this build of FFmpeg does not have");
  }
  if (!encoder_takes(*encoder, encoding.pixel_format)) {
    throw ConfigError(std::string(codec.encoder) + " in this build of FFmpeg does not take " + encoding.pixel_format);
  }
  for (const char* muxer : {segment_muxer(encoding.codec), traits(container).muxer}) {
    if (av_guess_format(muxer, nullptr, nullptr)) continue;
    throw ConfigError("this build of FFmpeg does not write " + std::string(muxer), {.key = "output"});
  }
}

std::string to_string(VideoCodec codec) { return traits(codec).name; }

const char* encoder_name(VideoCodec codec) { return traits(codec).encoder; }

bool takes_rgb24(const VideoEncoding& encoding) {
  return encoding.pixel_format == kDefaultPixelFormat || encoding.codec == VideoCodec::kPng;
}

const char* segment_muxer(VideoCodec codec) {
  const bool in_mp4 = codec == VideoCodec::kH264 || codec == VideoCodec::kHevc || codec == VideoCodec::kAv1;
  return in_mp4 ? "mp4" : "mov";
}

int64_t bits_per_pixel(const VideoEncoding& encoding) {
  switch (encoding.codec) {
    case VideoCodec::kProres:
      return 5;  // Source: Apple ProRes white paper, 422 HQ: 220 Mbit/s at 1920x1080 and 29.97 fps, 3.5 bits
    case VideoCodec::kFfv1:
    case VideoCodec::kPng:
      return 24;
    default:
      return 1;  // several times what most scenes need at crf 18
  }
}

}  // namespace flashblock
