#include "media/frame_conversion.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include "core/check.h"
#include "core/error.h"
#include "media/ffmpeg_handles.h"

namespace flashblock {
namespace {

/// Exact arithmetic that is the same on every processor; chroma is averaged over the pixels that it covers.
constexpr int kScaling = SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP;
constexpr int kNeutral = 1 << 16;  // contrast and saturation of 1 in swscale's fixed point

SwsContextPtr make_converter(int width, int height, AVPixelFormat from, int from_matrix, bool from_full_range,
                             AVPixelFormat to, int to_matrix, bool to_full_range) {
  SwsContextPtr context(sws_getContext(width, height, from, width, height, to, kScaling, nullptr, nullptr, nullptr));
  const char* from_name = av_get_pix_fmt_name(from);
  if (!context) {
    throw MediaError(std::string("cannot convert frames of pixel format ") + (from_name ? from_name : "unknown"));
  }
  // Fails for formats without a matrix (grey, palette), where there is nothing to set.
  sws_setColorspaceDetails(context.get(), sws_getCoefficients(from_matrix), from_full_range,
                           sws_getCoefficients(to_matrix), to_full_range, 0, kNeutral, kNeutral);
  return context;
}

/// Deprecated names of the full-range formats: mapped to the new names, so that only the range tag decides.
AVPixelFormat without_range(AVPixelFormat format) {
  switch (format) {
    case AV_PIX_FMT_YUVJ420P:
      return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P:
      return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ444P:
      return AV_PIX_FMT_YUV444P;
    case AV_PIX_FMT_YUVJ440P:
      return AV_PIX_FMT_YUV440P;
    default:
      return format;
  }
}

bool is_rgb(AVPixelFormat format) { return av_pix_fmt_desc_get(format)->flags & AV_PIX_FMT_FLAG_RGB; }

int matrix_of(const AVFrame& frame) {
  // swscale converts some RGB formats via YUV: with the same matrix in both directions nothing changes.
  if (is_rgb(static_cast<AVPixelFormat>(frame.format))) return SWS_CS_ITU709;
  switch (frame.colorspace) {
    case AVCOL_SPC_BT709:
      return SWS_CS_ITU709;
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
      return SWS_CS_ITU601;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
      return SWS_CS_BT2020;
    default:
      return frame.height >= 720 ? SWS_CS_ITU709 : SWS_CS_ITU601;
  }
}

}  // namespace

at::Tensor to_rgb24(const at::Tensor& frames) {
  FB_CHECK(frames.dim() == 4 && frames.size(1) == 3 && frames.is_floating_point(), "wanted [T, 3, H, W] float");
  return frames.to(at::kFloat).mul(255).round_().clamp_(0, 255).to(at::kByte).permute({0, 2, 3, 1}).contiguous();
}

at::Tensor from_rgb24(const at::Tensor& frames) {
  FB_CHECK(frames.dim() == 4 && frames.size(3) == 3 && frames.scalar_type() == at::kByte, "wanted [T, H, W, 3] uint8");
  return frames.permute({0, 3, 1, 2}).to(at::kFloat).div_(255).contiguous();
}

void FrameConverter::Deleter::operator()(SwsContext* context) const { sws_freeContext(context); }

FrameConverter::FrameConverter(int64_t width, int64_t height, const VideoEncoding& encoding)
    : floats_(!takes_rgb24(encoding)) {
  const AVPixelFormat to = av_get_pix_fmt(encoding.pixel_format.c_str());
  context_.reset(make_converter(static_cast<int>(width), static_cast<int>(height),
                                floats_ ? AV_PIX_FMT_GBRPF32 : AV_PIX_FMT_RGB24, SWS_CS_ITU709, true, to, SWS_CS_ITU709,
                                is_rgb(to))
                     .release());
}

void FrameConverter::convert(const at::Tensor& rgb, AVFrame& frame) {
  const std::vector<int64_t> interleaved = {frame.height, frame.width, 3}, planar = {3, frame.height, frame.width};
  FB_CHECK(rgb.is_cpu() && rgb.is_contiguous() && rgb.scalar_type() == (floats_ ? at::kFloat : at::kByte) &&
               rgb.sizes() == (floats_ ? planar : interleaved),
           "wanted ", floats_ ? planar : interleaved, ", found ", rgb.sizes(), " ", rgb.scalar_type());
  const auto* bytes = static_cast<const uint8_t*>(rgb.const_data_ptr());
  const int64_t plane = int64_t{4} * frame.width * frame.height;
  const uint8_t* const planes[] = {floats_ ? bytes + plane : bytes, bytes + 2 * plane, bytes};  // green, blue, red
  const int row = floats_ ? 4 * frame.width : 3 * frame.width;
  const int strides[] = {row, row, row};
  check_ffmpeg(sws_scale(context_.get(), planes, strides, 0, frame.height, frame.data, frame.linesize),
               "cannot convert a frame");
}

at::Tensor frame_to_rgb24(const AVFrame& frame) {
  const auto tagged = static_cast<AVPixelFormat>(frame.format);
  const AVPixelFormat format = without_range(tagged);
  const bool full_range = is_rgb(format) || tagged != format || frame.color_range == AVCOL_RANGE_JPEG;
  const SwsContextPtr context = make_converter(frame.width, frame.height, format, matrix_of(frame), full_range,
                                               AV_PIX_FMT_RGB24, SWS_CS_ITU709, true);
  at::Tensor rgb = at::empty({frame.height, frame.width, 3}, at::kByte);
  uint8_t* const planes[] = {rgb.mutable_data_ptr<uint8_t>()};
  const int strides[] = {3 * frame.width};
  check_ffmpeg(sws_scale(context.get(), frame.data, frame.linesize, 0, frame.height, planes, strides),
               "cannot convert a frame to RGB");
  return rgb;
}

}  // namespace flashblock
