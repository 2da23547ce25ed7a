#include "media/jpeg_encoder.h"

#include <ATen/core/Tensor.h>

#include "core/check.h"
#include "core/error.h"
#include "media/ffmpeg_handles.h"

namespace flashblock {
namespace {

/// JPEG's own colours: BT.601, full range.
FramePtr as_jpeg_frame(const at::Tensor& rgb) {
  const int height = static_cast<int>(rgb.size(0)), width = static_cast<int>(rgb.size(1));
  FramePtr frame = make_frame(AV_PIX_FMT_YUVJ444P, width, height);
  frame->color_range = AVCOL_RANGE_JPEG;
  const SwsContextPtr context(sws_getContext(width, height, AV_PIX_FMT_RGB24, width, height, AV_PIX_FMT_YUV444P,
                                             SWS_ACCURATE_RND | SWS_BITEXACT, nullptr, nullptr, nullptr));
  if (!context) throw MediaError("cannot convert an image for a JPEG");
  constexpr int kNeutral = 1 << 16;
  const int* const matrix = sws_getCoefficients(SWS_CS_ITU601);
  sws_setColorspaceDetails(context.get(), matrix, 1, matrix, 1, 0, kNeutral, kNeutral);
  const uint8_t* const planes[] = {rgb.const_data_ptr<uint8_t>()};
  const int strides[] = {3 * width};
  check_ffmpeg(sws_scale(context.get(), planes, strides, 0, height, frame->data, frame->linesize),
               "cannot convert an image for a JPEG");
  return frame;
}

}  // namespace

std::string encode_jpeg(const at::Tensor& image, int quantizer) {
  FB_CHECK(image.is_cpu() && image.dim() == 3 && image.size(2) == 3 && image.scalar_type() == at::kByte,
           "wanted [H, W, 3] uint8 on the CPU");
  FB_CHECK(quantizer >= 1 && quantizer <= 31, quantizer);
  const FramePtr frame = as_jpeg_frame(image.contiguous());
  const CodecContextPtr encoder = make_image_encoder(AV_CODEC_ID_MJPEG, "JPEG", *frame);
  encoder->flags |= AV_CODEC_FLAG_QSCALE | AV_CODEC_FLAG_BITEXACT;
  encoder->global_quality = frame->quality = quantizer * FF_QP2LAMBDA;
  return encode_image(*encoder, "JPEG", *frame);
}

}  // namespace flashblock
