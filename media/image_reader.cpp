#include "media/image_reader.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "core/check.h"
#include "core/error.h"
#include "media/ffmpeg_handles.h"
#include "media/frame_conversion.h"
#include "media/image_view.h"

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

/// Rotates and flips an image according to its EXIF orientation. Source: EXIF 2.32, tag 0x0112; rows 1 to 8 of its
/// table.
cv::Mat upright(const cv::Mat& image, const AVFrame& frame) {
  const AVDictionaryEntry* entry = av_dict_get(frame.metadata, "Orientation", nullptr, 0);
  const int orientation = entry ? std::atoi(entry->value) : 1;
  if (orientation < 2 || orientation > 8) return image;
  cv::Mat transposed = image, turned;
  if (orientation > 4) cv::transpose(image, transposed);
  if (orientation == 5) return transposed;
  constexpr int kFlips[] = {1, -1, 0};  // of columns, of both, of rows
  cv::flip(transposed, turned, kFlips[orientation > 4 ? orientation - 6 : orientation - 2]);
  return turned;
}

at::Tensor as_tensor(const cv::Mat& image) {
  at::Tensor rgb = at::empty({image.rows, image.cols, 3}, at::kByte);
  image.copyTo(image_view(rgb));
  return rgb;
}

/// The largest centred part of the wanted aspect ratio, resized.
cv::Mat fill(const cv::Mat& image, int64_t width, int64_t height) {
  const double scale = std::max(static_cast<double>(width) / image.cols, static_cast<double>(height) / image.rows);
  const int kept_width = std::clamp(static_cast<int>(std::lround(width / scale)), 1, image.cols);
  const int kept_height = std::clamp(static_cast<int>(std::lround(height / scale)), 1, image.rows);
  const cv::Rect kept((image.cols - kept_width) / 2, (image.rows - kept_height) / 2, kept_width, kept_height);
  cv::Mat resized;
  cv::resize(image(kept), resized, cv::Size(static_cast<int>(width), static_cast<int>(height)), 0, 0,
             scale < 1 ? cv::INTER_AREA : cv::INTER_LANCZOS4);
  return resized;
}

cv::Mat read_upright(const std::filesystem::path& file) {
  silence_ffmpeg_log();
  const std::string bytes = read_file(file);
  const AVCodecID codec = codec_of(bytes);
  if (codec == AV_CODEC_ID_NONE) {
    throw MediaError("cannot read the image " + file.string() + ": found neither PNG nor JPEG, wanted one of these");
  }
  const std::string what = "cannot read the image " + file.string() + ": a damaged " +
                           (codec == AV_CODEC_ID_PNG ? "PNG" : "JPEG") + " file, wanted a complete one";
  const FramePtr frame = decode(bytes, codec, what);
  return upright(image_view(frame_to_rgb24(*frame)), *frame).clone();
}

}  // namespace

at::Tensor read_image(const std::filesystem::path& file) {
  return from_rgb24(as_tensor(read_upright(file)).unsqueeze(0))[0];
}

at::Tensor read_image(const std::filesystem::path& file, int64_t width, int64_t height) {
  return from_rgb24(as_tensor(fill(read_upright(file), width, height)).unsqueeze(0))[0];
}

at::Tensor fill_size(const at::Tensor& frames, int64_t width, int64_t height) {
  const at::Tensor images = to_rgb24(frames);
  at::Tensor filled = at::empty({images.size(0), height, width, 3}, at::kByte);
  for (int64_t i = 0; i < images.size(0); ++i) {
    fill(image_view(images[i]), width, height).copyTo(image_view(filled[i]));
  }
  return from_rgb24(filled);
}

}  // namespace flashblock
