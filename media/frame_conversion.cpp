#include "media/frame_conversion.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <cstring>
#include <utility>
#include <vector>

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

bool has_alpha(AVPixelFormat format) { return av_pix_fmt_desc_get(format)->flags & AV_PIX_FMT_FLAG_ALPHA; }

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
    case AVCOL_SPC_FCC:
      return SWS_CS_FCC;
    case AVCOL_SPC_SMPTE240M:
      return SWS_CS_SMPTE240M;
    case AVCOL_SPC_UNSPECIFIED:
    case AVCOL_SPC_RESERVED:
    case AVCOL_SPC_RGB:  // a wrong tag on YUV
      // Source: mpv `video/mp_image.c`, mp_csp_guess_colorspace.
      return frame.width >= 1280 || frame.height > 576 ? SWS_CS_ITU709 : SWS_CS_ITU601;
    default: {
      const char* name = av_color_space_name(frame.colorspace);
      throw MediaError(std::string("its colour matrix is ") + (name ? name : "unknown") +
                       ", wanted bt709, bt601 or bt2020; convert it first");
    }
  }
}

/// Lays RGB with alpha on white. Shape: [H, W, 4] uint8 -> [H, W, 3].
at::Tensor on_white(const at::Tensor& rgba) {
  at::Tensor rgb = at::empty({rgba.size(0), rgba.size(1), 3}, at::kByte);
  const uint8_t* from = rgba.const_data_ptr<uint8_t>();
  uint8_t* to = rgb.mutable_data_ptr<uint8_t>();
  for (int64_t pixel = 0; pixel < rgba.size(0) * rgba.size(1); ++pixel, from += 4, to += 3)
    for (int c = 0; c < 3; ++c) to[c] = static_cast<uint8_t>((from[c] * from[3] + 255 * (255 - from[3]) + 127) / 255);
  return rgb;
}

/// Every second column, where chroma is sited, averaged with half of its neighbours. Shape: [H, W] -> [H, W / 2].
at::Tensor halve_columns(const at::Tensor& plane) {
  const int64_t half = plane.size(1) / 2;
  const at::Tensor even = plane.slice(1, 0, 2 * half, 2), odd = plane.slice(1, 1, 2 * half, 2);
  const at::Tensor left = at::cat({even.narrow(1, 0, 1), odd.narrow(1, 0, half - 1)}, 1);
  return even.mul(0.5).add(left.add(odd).mul(0.25));
}

/// The averages of pairs of rows. Shape: [H, W] -> [H / 2, W].
at::Tensor halve_rows(const at::Tensor& plane) {
  const int64_t rows = plane.size(0) / 2 * 2;
  return plane.slice(0, 0, rows, 2).add(plane.slice(0, 1, rows, 2)).mul(0.5);
}

/// Rounds `values`, (scale * value + offset) in units of 8 bits, to the depth of the frame.
void fill_plane(const at::Tensor& values, double scale, double offset, AVFrame& frame, int plane) {
  const int depth = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame.format))->comp[plane].depth;
  const double unit = 1 << (depth - 8);
  const at::Tensor levels = values.mul(scale * unit).add(offset * unit).round().clamp(0, (1 << depth) - 1);
  const at::Tensor bytes = levels.to(depth == 8 ? at::kByte : at::kShort).contiguous();
  const auto row_bytes = static_cast<size_t>(bytes.size(1)) * bytes.element_size();
  const auto* from = static_cast<const uint8_t*>(bytes.const_data_ptr());
  for (int64_t row = 0; row < bytes.size(0); ++row) {
    std::memcpy(frame.data[plane] + row * frame.linesize[plane], from + static_cast<size_t>(row) * row_bytes,
                row_bytes);
  }
}

/// Fills a planar YUV frame, exactly rounded. swscale is not used: from floats it makes white 943 of 1023 instead of
/// 940 (FFmpeg 5.1). Shape: `rgb` [3, H, W] float32 in [0, 1].
/// Source: ITU-R BT.709-6, 3.2 to 3.5; siting of chroma as in MPEG-2, AVCHROMA_LOC_LEFT.
void fill_yuv(const at::Tensor& rgb, AVFrame& frame) {
  const at::Tensor red = rgb[0], blue = rgb[2];
  const at::Tensor luma = red.mul(0.2126).add(rgb[1].mul(0.7152)).add(blue.mul(0.0722));
  fill_plane(luma, 219, 16, frame, 0);
  const AVPixFmtDescriptor& format = *av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame.format));
  int plane = 1;
  for (at::Tensor chroma : {blue.sub(luma).div(1.8556), red.sub(luma).div(1.5748)}) {
    if (format.log2_chroma_w == 1) chroma = halve_columns(chroma);
    if (format.log2_chroma_h == 1) chroma = halve_rows(chroma);
    fill_plane(chroma, 224, 128, frame, plane++);
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
  if (floats_) return;
  const AVPixelFormat to = av_get_pix_fmt(encoding.pixel_format.c_str());
  context_.reset(make_converter(static_cast<int>(width), static_cast<int>(height), AV_PIX_FMT_RGB24, SWS_CS_ITU709,
                                true, to, SWS_CS_ITU709, is_rgb(to))
                     .release());
}

void FrameConverter::convert(const at::Tensor& rgb, AVFrame& frame) {
  const std::vector<int64_t> interleaved = {frame.height, frame.width, 3}, planar = {3, frame.height, frame.width};
  FB_CHECK(rgb.is_cpu() && rgb.is_contiguous() && rgb.scalar_type() == (floats_ ? at::kFloat : at::kByte) &&
               rgb.sizes() == (floats_ ? planar : interleaved),
           "wanted ", floats_ ? planar : interleaved, ", found ", rgb.sizes(), " ", rgb.scalar_type());
  if (floats_) return fill_yuv(rgb, frame);
  const uint8_t* const planes[] = {rgb.const_data_ptr<uint8_t>()};
  const int strides[] = {3 * frame.width};
  check_ffmpeg(sws_scale(context_.get(), planes, strides, 0, frame.height, frame.data, frame.linesize),
               "cannot convert a frame");
}

at::Tensor frame_to_rgb24(const AVFrame& frame) { return frame_to_rgb24(frame, {}); }

at::Tensor frame_to_rgb24(const AVFrame& frame, at::Tensor&& memory) {
  const auto tagged = static_cast<AVPixelFormat>(frame.format);
  const AVPixelFormat format = without_range(tagged);
  const bool full_range = is_rgb(format) || tagged != format || frame.color_range == AVCOL_RANGE_JPEG;
  const bool alpha = has_alpha(format);
  const int channels = alpha ? 4 : 3;
  const SwsContextPtr context = make_converter(frame.width, frame.height, format, matrix_of(frame), full_range,
                                               alpha ? AV_PIX_FMT_RGBA : AV_PIX_FMT_RGB24, SWS_CS_ITU709, true);
  const std::vector<int64_t> shape = {frame.height, frame.width, channels};
  const bool fits = memory.defined() && memory.use_count() == 1 && memory.sizes() == shape;
  const at::Tensor rgb = fits ? std::move(memory) : at::empty(shape, at::kByte);
  uint8_t* const planes[] = {rgb.mutable_data_ptr<uint8_t>()};
  const int strides[] = {channels * frame.width};
  check_ffmpeg(sws_scale(context.get(), frame.data, frame.linesize, 0, frame.height, planes, strides),
               "cannot convert a frame to RGB");
  return alpha ? on_white(rgb) : rgb;
}

}  // namespace flashblock
