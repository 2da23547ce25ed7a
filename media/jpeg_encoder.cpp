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
  FramePtr frame = make_frame();
  frame->format = AV_PIX_FMT_YUVJ444P;
  frame->height = height;
  frame->width = width;
  frame->color_range = AVCOL_RANGE_JPEG;
  check_ffmpeg(av_frame_get_buffer(frame.get(), 0), "cannot allocate an image");
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
  silence_ffmpeg_log();
  const at::Tensor rgb = image.contiguous();
  const AVCodec* codec = avcodec_find_encoder(AV_CODEC_ID_MJPEG);
  if (!codec) throw MediaError("this build of FFmpeg has no JPEG encoder, wanted one with mjpeg");
  CodecContextPtr encoder(avcodec_alloc_context3(codec));
  encoder->width = static_cast<int>(rgb.size(1));
  encoder->height = static_cast<int>(rgb.size(0));
  encoder->pix_fmt = AV_PIX_FMT_YUVJ444P;
  encoder->color_range = AVCOL_RANGE_JPEG;
  encoder->time_base = {1, 1};
  encoder->thread_count = 1;
  encoder->flags |= AV_CODEC_FLAG_QSCALE | AV_CODEC_FLAG_BITEXACT;
  encoder->global_quality = quantizer * FF_QP2LAMBDA;
  check_ffmpeg(avcodec_open2(encoder.get(), codec, nullptr), "cannot start the JPEG encoder");
  const FramePtr frame = as_jpeg_frame(rgb);
  frame->quality = encoder->global_quality;
  const PacketPtr packet = make_packet();
  check_ffmpeg(avcodec_send_frame(encoder.get(), frame.get()), "cannot encode a JPEG");
  check_ffmpeg(avcodec_send_frame(encoder.get(), nullptr), "cannot encode a JPEG");
  check_ffmpeg(avcodec_receive_packet(encoder.get(), packet.get()), "cannot encode a JPEG");
  return {reinterpret_cast<const char*>(packet->data), static_cast<size_t>(packet->size)};
}

}  // namespace flashblock
