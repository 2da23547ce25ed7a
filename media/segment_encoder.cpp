#include "media/segment_encoder.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "core/check.h"
#include "core/error.h"
#include "media/ffmpeg_handles.h"
#include "media/fragment_stream.h"
#include "media/frame_conversion.h"

namespace flashblock {
namespace {

constexpr int kNoKeyFrameInside = 1 << 15;  // maximal distance of key frames: more than any frame block has

void set_option(AVCodecContext& encoder, const char* name, const std::string& value) {
  check_ffmpeg(av_opt_set(&encoder, name, value.c_str(), AV_OPT_SEARCH_CHILDREN),
               std::string(encoder.codec->name) + " rejects " + name + " = " + value);
}

/// Disables AVX-512 in x264 (build 164), with which its macroblock tree depends on what other threads do meanwhile. 12
/// noisy frames, encoded 50 times by each of 4 encoders in parallel, one thread each: 6 different results at 96x96, 3
/// at 304x160; with AVX2 a single result at both sizes in 600 trials.
void leave_out_avx512(AVCodecContext& encoder) {
  if (__builtin_cpu_supports("avx512f")) set_option(encoder, "x264-params", "asm=avx2");
}

void set_h264_options(AVCodecContext& encoder, const EncoderSettings& settings) {
  set_option(encoder, "preset", settings.preset);
  set_option(encoder, "crf", std::to_string(settings.crf));
  set_option(encoder, "sc_threshold", "0");  // no key frames at scene cuts
  set_option(encoder, "forced-idr", "1");
  leave_out_avx512(encoder);
}

void set_hevc_options(AVCodecContext& encoder, const EncoderSettings& settings) {
  set_option(encoder, "preset", settings.preset);
  set_option(encoder, "crf", std::to_string(settings.crf));
  set_option(encoder, "forced-idr", "1");
  // x265 takes its threads from the machine unless set: with one thread it leaves out wavefronts, and the bytes
  // differ.
  set_option(encoder, "x265-params",
             "log-level=none:scenecut=0:open-gop=0:info=0:pools=" + std::to_string(settings.threads));
}

void set_av1_options(AVCodecContext& encoder, const EncoderSettings& settings) {
  const int slowness = preset_index(settings.preset);  // 0: ultrafast, 4: fast
  const bool realtime = slowness <= preset_index("fast");
  set_option(encoder, "usage", realtime ? "realtime" : "good");
  set_option(encoder, "cpu-used", std::to_string(std::min(8, (realtime ? 9 : 11) - slowness)));
  set_option(encoder, "crf", std::to_string(settings.crf));
  set_option(encoder, "row-mt", "1");
  encoder.keyint_min = encoder.gop_size;  // no key frames at scene cuts
}

void set_prores_options(AVCodecContext& encoder) {
  set_option(encoder, "profile", "hq");
  set_option(encoder, "vendor", "apl0");
}

void set_ffv1_options(AVCodecContext& encoder) {
  encoder.level = 3;
  encoder.gop_size = 1;
  encoder.slices = 4;
  set_option(encoder, "slicecrc", "1");
}

void set_png_options(AVCodecContext& encoder) {
  set_option(encoder, "pred", "mixed");
  encoder.color_range = AVCOL_RANGE_JPEG;
  encoder.colorspace = AVCOL_SPC_RGB;
  encoder.color_trc = AVCOL_TRC_IEC61966_2_1;
  encoder.chroma_sample_location = AVCHROMA_LOC_UNSPECIFIED;
}

void set_codec_options(AVCodecContext& encoder, const VideoFormat& format) {
  switch (format.encoding.codec) {
    case VideoCodec::kH264:
      return set_h264_options(encoder, format.encoder);
    case VideoCodec::kHevc:
      return set_hevc_options(encoder, format.encoder);
    case VideoCodec::kAv1:
      return set_av1_options(encoder, format.encoder);
    case VideoCodec::kProres:
      return set_prores_options(encoder);
    case VideoCodec::kFfv1:
      return set_ffv1_options(encoder);
    case VideoCodec::kPng:
      return set_png_options(encoder);
  }
}

CodecContextPtr open_encoder(const VideoFormat& format) {
  silence_ffmpeg_log();
  const char* name = encoder_name(format.encoding.codec);
  const AVCodec* codec = avcodec_find_encoder_by_name(name);
  if (!codec) throw MediaError("this build of FFmpeg has no " + std::string(name) + ", wanted one with it");
  CodecContextPtr encoder(avcodec_alloc_context3(codec));
  encoder->width = static_cast<int>(format.width);
  encoder->height = static_cast<int>(format.height);
  encoder->pix_fmt = av_get_pix_fmt(format.encoding.pixel_format.c_str());
  encoder->time_base = {1, static_cast<int>(format.fps)};
  encoder->framerate = {static_cast<int>(format.fps), 1};
  encoder->sample_aspect_ratio = {1, 1};
  encoder->color_range = AVCOL_RANGE_MPEG;
  encoder->colorspace = AVCOL_SPC_BT709;
  encoder->color_primaries = AVCOL_PRI_BT709;
  encoder->color_trc = AVCOL_TRC_BT709;
  encoder->chroma_sample_location = AVCHROMA_LOC_LEFT;
  encoder->gop_size = kNoKeyFrameInside;
  encoder->thread_count = format.encoder.threads;
  encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_CLOSED_GOP | AV_CODEC_FLAG_BITEXACT;
  set_codec_options(*encoder, format);
  check_ffmpeg(avcodec_open2(encoder.get(), codec, nullptr), "cannot start the encoder " + std::string(name));
  return encoder;
}

FramePtr make_encoder_frame(const AVCodecContext& encoder) {
  FramePtr frame = make_frame(encoder.pix_fmt, encoder.width, encoder.height);
  frame->color_range = encoder.color_range;
  frame->colorspace = encoder.colorspace;
  frame->color_primaries = encoder.color_primaries;
  frame->color_trc = encoder.color_trc;
  return frame;
}

/// Moves all finished packets to the stream.
void drain(AVCodecContext& encoder, FragmentStream& stream) {
  const PacketPtr packet = make_packet();
  for (;;) {
    const int code = avcodec_receive_packet(&encoder, packet.get());
    if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return;
    check_ffmpeg(code, "the encoder failed");
    packet->duration = 1;
    stream.write(*packet);
  }
}

}  // namespace

EncodedSegment encode_segment(const VideoFormat& format, const at::Tensor& rgb, int64_t first_frame) {
  FB_CHECK(rgb.size(0) < kNoKeyFrameInside, rgb.size(0), " frames in one segment");
  const CodecContextPtr encoder = open_encoder(format);
  FragmentStream stream(*encoder, segment_muxer(format.encoding.codec));
  FrameConverter converter(format.width, format.height, format.encoding);
  for (int64_t i = 0; i < rgb.size(0); ++i) {
    const FramePtr frame = make_encoder_frame(*encoder);
    converter.convert(rgb[i], *frame);
    frame->pts = first_frame + i;
    frame->pict_type = i == 0 ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
    check_ffmpeg(avcodec_send_frame(encoder.get(), frame.get()), "the encoder rejects a frame");
    drain(*encoder, stream);
  }
  check_ffmpeg(avcodec_send_frame(encoder.get(), nullptr), "the encoder cannot be flushed");
  drain(*encoder, stream);
  return {stream.init_segment(), stream.finish()};
}

std::string encode_init_segment(const VideoFormat& format) {
  return FragmentStream(*open_encoder(format), segment_muxer(format.encoding.codec)).init_segment();
}

}  // namespace flashblock
