#include "media/png_writer.h"

#include <ATen/core/Tensor.h>

#include <algorithm>

#include "core/atomic_file.h"
#include "core/check.h"
#include "media/ffmpeg_handles.h"
#include "media/frame_conversion.h"

namespace flashblock {
namespace {

/// Shape: `rgb` [H, W, 3] uint8, contiguous.
FramePtr as_rgb_frame(const at::Tensor& rgb) {
  FramePtr frame = make_frame(AV_PIX_FMT_RGB24, static_cast<int>(rgb.size(1)), static_cast<int>(rgb.size(0)));
  const int64_t row_bytes = 3 * rgb.size(1);
  for (int64_t row = 0; row < rgb.size(0); ++row) {
    std::copy_n(rgb.const_data_ptr<uint8_t>() + row * row_bytes, row_bytes, frame->data[0] + row * frame->linesize[0]);
  }
  return frame;
}

}  // namespace

void write_png(const std::filesystem::path& file, const at::Tensor& image) {
  FB_CHECK(image.is_cpu() && image.dim() == 3, "wanted one image on the CPU");
  const at::Tensor rgb = image.is_floating_point() ? to_rgb24(image.unsqueeze(0))[0] : image.contiguous();
  FB_CHECK(rgb.scalar_type() == at::kByte && rgb.size(2) == 3, "wanted [H, W, 3] uint8");
  const FramePtr frame = as_rgb_frame(rgb);
  const CodecContextPtr encoder = make_image_encoder(AV_CODEC_ID_PNG, "PNG", *frame);
  write_file_atomically(file, encode_image(*encoder, "PNG", *frame));
}

}  // namespace flashblock
