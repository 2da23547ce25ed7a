#include "media/png_writer.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <string_view>

#include "core/atomic_file.h"
#include "core/check.h"
#include "core/error.h"
#include "media/ffmpeg_handles.h"
#include "media/frame_conversion.h"

namespace flashblock {
namespace {

/// Shape: `rgb` [H, W, 3] uint8, contiguous.
FramePtr as_rgb_frame(const at::Tensor& rgb) {
  FramePtr frame = make_frame();
  frame->format = AV_PIX_FMT_RGB24;
  frame->height = static_cast<int>(rgb.size(0));
  frame->width = static_cast<int>(rgb.size(1));
  check_ffmpeg(av_frame_get_buffer(frame.get(), 0), "cannot allocate an image");
  const int64_t row_bytes = 3 * rgb.size(1);
  for (int64_t row = 0; row < rgb.size(0); ++row) {
    std::copy_n(rgb.const_data_ptr<uint8_t>() + row * row_bytes, row_bytes, frame->data[0] + row * frame->linesize[0]);
  }
  return frame;
}

PacketPtr encode(const at::Tensor& rgb) {
  silence_ffmpeg_log();
  const AVCodec* codec = avcodec_find_encoder(AV_CODEC_ID_PNG);
  if (!codec) throw MediaError("this build of FFmpeg has no PNG encoder, wanted one with zlib");
  CodecContextPtr encoder(avcodec_alloc_context3(codec));
  encoder->width = static_cast<int>(rgb.size(1));
  encoder->height = static_cast<int>(rgb.size(0));
  encoder->pix_fmt = AV_PIX_FMT_RGB24;
  encoder->time_base = {1, 1};
  encoder->thread_count = 1;
  check_ffmpeg(avcodec_open2(encoder.get(), codec, nullptr), "cannot start the PNG encoder");
  const FramePtr frame = as_rgb_frame(rgb);
  PacketPtr packet = make_packet();
  check_ffmpeg(avcodec_send_frame(encoder.get(), frame.get()), "cannot encode a PNG");
  check_ffmpeg(avcodec_send_frame(encoder.get(), nullptr), "cannot encode a PNG");
  check_ffmpeg(avcodec_receive_packet(encoder.get(), packet.get()), "cannot encode a PNG");
  return packet;
}

}  // namespace

void write_png(const std::filesystem::path& file, const at::Tensor& image) {
  FB_CHECK(image.is_cpu() && image.dim() == 3, "wanted one image on the CPU");
  const at::Tensor rgb = image.is_floating_point() ? to_rgb24(image.unsqueeze(0))[0] : image.contiguous();
  FB_CHECK(rgb.scalar_type() == at::kByte && rgb.size(2) == 3, "wanted [H, W, 3] uint8");
  const PacketPtr packet = encode(rgb);
  write_file_atomically(file, {reinterpret_cast<const char*>(packet->data), static_cast<size_t>(packet->size)});
}

}  // namespace flashblock
