#include "media/image_reader.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>

#include "core/check.h"
#include "core/error.h"
#include "core/file_kind.h"
#include "media/ffmpeg_handles.h"
#include "media/frame_conversion.h"
#include "media/image_view.h"
#include "media/orientation.h"

namespace flashblock {
namespace {

constexpr std::streamoff kMaxFileBytes = 256 << 20;
constexpr int64_t kMaxPixels = int64_t{1} << 28;

std::string read_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary | std::ios::ate);
  if (!stream || std::filesystem::is_directory(file)) {
    throw MediaError("cannot read the image " + file.string() + ": no such file, or it cannot be read");
  }
  if (stream.tellg() > kMaxFileBytes) {
    throw MediaError("cannot read the image " + file.string() + ": found more than 256 MiB, wanted a PNG or JPEG file");
  }
  std::string bytes(static_cast<size_t>(stream.tellg()), '\0');
  stream.seekg(0).read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

AVCodecID codec_of(std::string_view bytes) {
  if (bytes.starts_with("\x89PNG\r\n\x1a\n")) return AV_CODEC_ID_PNG;
  if (bytes.starts_with("\xff\xd8\xff")) return AV_CODEC_ID_MJPEG;
  return AV_CODEC_ID_NONE;
}

FramePtr decode(std::string_view bytes, AVCodecID codec_id, const std::string& what) {
  const AVCodec* codec = avcodec_find_decoder(codec_id);
  if (!codec) throw MediaError(what + ": this build of FFmpeg has no decoder for it");
  CodecContextPtr decoder(avcodec_alloc_context3(codec));
  decoder->max_pixels = kMaxPixels;
  decoder->thread_count = 1;
  decoder->err_recognition = AV_EF_EXPLODE | AV_EF_CRCCHECK;
  check_ffmpeg(avcodec_open2(decoder.get(), codec, nullptr), what);
  const PacketPtr packet = make_packet();
  check_ffmpeg(av_new_packet(packet.get(), static_cast<int>(bytes.size())), what);
  std::memcpy(packet->data, bytes.data(), bytes.size());
  FramePtr frame = make_frame();
  check_ffmpeg(avcodec_send_packet(decoder.get(), packet.get()), what);
  check_ffmpeg(avcodec_send_packet(decoder.get(), nullptr), what);
  check_ffmpeg(avcodec_receive_frame(decoder.get(), frame.get()), what);
  frame->color_range = AVCOL_RANGE_JPEG;  // PNG and JFIF are always full range
  return frame;
}

at::Tensor read_upright(const std::filesystem::path& file) {
  silence_ffmpeg_log();
  const std::string bytes = read_file(file);
  const AVCodecID codec = codec_of(bytes);
  if (codec == AV_CODEC_ID_NONE) {
    const KnownFile found = known_file(file);
    const bool other = found.kind == FileKind::kOtherImage;
    throw MediaError("cannot read the image " + file.string() + ": found " +
                     (other ? found.words : "neither PNG nor JPEG") + ", wanted " +
                     (other ? "PNG or JPEG; convert it first" : "one of these"));
  }
  const std::string what = "cannot read the image " + file.string() + ": a damaged " +
                           (codec == AV_CODEC_ID_PNG ? "PNG" : "JPEG") + " file, wanted a complete one";
  return turned(frame_to_rgb24(*decode(bytes, codec, what)), orientation_of_image(bytes));
}

}  // namespace

at::Tensor read_image(const std::filesystem::path& file) { return from_rgb24(read_upright(file).unsqueeze(0))[0]; }

at::Tensor read_image(const std::filesystem::path& file, int64_t width, int64_t height) {
  return from_rgb24(fill_size(read_upright(file), width, height).unsqueeze(0))[0];
}

at::Tensor fill_size(const at::Tensor& rgb, int64_t width, int64_t height, double pixel_aspect) {
  const cv::Mat image = image_view(rgb);
  // Stored pixels per pixel of the result, in each direction.
  const double x = std::min(static_cast<double>(image.cols) / static_cast<double>(width),
                            static_cast<double>(image.rows) / static_cast<double>(height) / pixel_aspect);
  const double y = x * pixel_aspect;
  const int kept_width = std::clamp(static_cast<int>(std::lround(static_cast<double>(width) * x)), 1, image.cols);
  const int kept_height = std::clamp(static_cast<int>(std::lround(static_cast<double>(height) * y)), 1, image.rows);
  const cv::Rect kept((image.cols - kept_width) / 2, (image.rows - kept_height) / 2, kept_width, kept_height);
  at::Tensor filled = at::empty({height, width, 3}, at::kByte);
  cv::Mat target = image_view(filled);
  cv::resize(image(kept), target, target.size(), 0, 0, x * y > 1 ? cv::INTER_AREA : cv::INTER_LANCZOS4);
  return filled;
}

}  // namespace flashblock
