#include "media/video_reader.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/stack.h>

#include <deque>
#include <limits>
#include <string_view>
#include <utility>

#include "core/check.h"
#include "core/error.h"
#include "media/ffmpeg_handles.h"
#include "media/frame_conversion.h"
#include "media/image_reader.h"
#include "media/orientation.h"

namespace flashblock {
namespace {

constexpr double kThinnestPixel = 0.05;  // what is thinner is a damaged number

std::string text(const char* name) { return name ? name : "unknown"; }

InputPtr open_input(const std::filesystem::path& file) {
  silence_ffmpeg_log();
  AVFormatContext* input = nullptr;
  const std::string what = "cannot read " + file.string();
  check_ffmpeg(avformat_open_input(&input, ffmpeg_url(file).c_str(), nullptr, nullptr), what);
  InputPtr owner(input);
  check_ffmpeg(avformat_find_stream_info(input, nullptr), what);
  return owner;
}

CodecContextPtr open_decoder(const AVStream& stream, const AVCodec* codec, const std::string& what) {
  CodecContextPtr decoder(avcodec_alloc_context3(codec));
  check_ffmpeg(avcodec_parameters_to_context(decoder.get(), stream.codecpar), what);
  decoder->pkt_timebase = stream.time_base;
  check_ffmpeg(avcodec_open2(decoder.get(), codec, nullptr), what);
  return decoder;
}

VideoInfo describe(const AVFormatContext& input, const AVStream& stream) {
  const AVCodecParameters& codec = *stream.codecpar;
  VideoInfo info;
  info.width = codec.width;
  info.height = codec.height;
  info.fps = av_q2d(stream.avg_frame_rate);
  info.frames = stream.nb_frames;
  info.start_seconds = stream.start_time == AV_NOPTS_VALUE ? 0 : stream.start_time * av_q2d(stream.time_base);
  info.codec = text(avcodec_get_name(codec.codec_id));
  info.pixel_format = text(av_get_pix_fmt_name(static_cast<AVPixelFormat>(codec.format)));
  info.color_range = text(av_color_range_name(codec.color_range));
  info.color_matrix = text(av_color_space_name(codec.color_space));
  info.color_primaries = text(av_color_primaries_name(codec.color_primaries));
  info.color_transfer = text(av_color_transfer_name(codec.color_trc));
  const AVDictionaryEntry* entry = nullptr;
  while ((entry = av_dict_get(input.metadata, "", entry, AV_DICT_IGNORE_SUFFIX)))
    info.metadata[entry->key] = entry->value;
  return info;
}

/// Width of a pixel by its height, of a frame that is not turned yet.
double pixel_aspect(AVFormatContext* input, AVStream* stream, AVFrame* frame) {
  const AVRational aspect = av_guess_sample_aspect_ratio(input, stream, frame);
  const double value = aspect.num > 0 && aspect.den > 0 ? av_q2d(aspect) : 1;
  return value < kThinnestPixel || value > 1 / kThinnestPixel ? 1 : value;
}

/// VP8 and VP9 keep alpha in a stream of its own, which FFmpeg's own decoders leave out; libvpx decodes it.
const AVCodec* decoder_with_alpha(const AVStream& stream, const AVCodec* codec) {
  const AVDictionaryEntry* mode = av_dict_get(stream.metadata, "alpha_mode", nullptr, 0);
  if (!mode || std::string_view(mode->value) != "1") return codec;
  const AVCodec* found = codec->id == AV_CODEC_ID_VP9   ? avcodec_find_decoder_by_name("libvpx-vp9")
                         : codec->id == AV_CODEC_ID_VP8 ? avcodec_find_decoder_by_name("libvpx")
                                                        : nullptr;
  return found ? found : codec;
}

/// The last frames of a video, each as `kept_of` gives it.
template <typename Function>
at::Tensor last_of(const std::filesystem::path& file, int64_t last_frames, Function kept_of) {
  const auto kept = last_frames == -1 ? std::numeric_limits<size_t>::max() : static_cast<size_t>(last_frames);
  VideoReader reader(file);
  std::deque<at::Tensor> frames;
  VideoFrame frame;
  while (reader.next(frame)) {
    frames.push_back(kept_of(frame));
    if (frames.size() > kept) frames.pop_front();
  }
  if (frames.empty()) throw MediaError("cannot read " + file.string() + ": found no frames");
  return from_rgb24(at::stack(std::vector<at::Tensor>(frames.begin(), frames.end())));
}

}  // namespace

struct VideoReader::State {
  std::string what;  ///< prefix of every error message
  InputPtr input;
  AVStream* stream = nullptr;
  CodecContextPtr decoder;
  VideoInfo info;
  PacketPtr packet = make_packet();
  FramePtr frame = make_frame();
  bool flushing = false;

  /// The decoded frame.
  void take(VideoFrame& taken);
  /// Sends the decoder the stream's next packet, or the end of the stream.
  void feed();
};

void VideoReader::State::take(VideoFrame& taken) {
  try {
    taken.rgb = frame_to_rgb24(*frame, std::move(taken.rgb));
  } catch (const MediaError& error) {
    throw MediaError(what + ": " + error.what());
  }
  const int32_t* matrix = display_matrix(*stream, *frame);
  taken.orientation = matrix ? orientation_of_matrix(matrix) : Orientation();
  taken.pixel_aspect = pixel_aspect(input.get(), stream, frame.get());
  taken.seconds = static_cast<double>(frame->best_effort_timestamp) * av_q2d(stream->time_base);
  taken.key_frame = frame->pict_type == AV_PICTURE_TYPE_I;
}

void VideoReader::State::feed() {
  while (!flushing) {
    const int code = av_read_frame(input.get(), packet.get());
    if (code == AVERROR_EOF) break;
    check_ffmpeg(code, what);
    const bool ours = packet->stream_index == stream->index;
    if (ours) check_ffmpeg(avcodec_send_packet(decoder.get(), packet.get()), what);
    av_packet_unref(packet.get());
    if (ours) return;
  }
  flushing = true;
  check_ffmpeg(avcodec_send_packet(decoder.get(), nullptr), what);
}

VideoReader::VideoReader(const std::filesystem::path& file) : state_(std::make_unique<State>()) {
  state_->what = "cannot read " + file.string();
  state_->input = open_input(file);
  const AVCodec* codec = nullptr;
  const int index = av_find_best_stream(state_->input.get(), AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
  if (index < 0)
    throw MediaError(state_->what + ": found no video stream that this build of FFmpeg decodes, wanted H.264 in MP4");
  state_->stream = state_->input->streams[index];
  state_->decoder = open_decoder(*state_->stream, decoder_with_alpha(*state_->stream, codec), state_->what);
  state_->info = describe(*state_->input, *state_->stream);
}

VideoReader::~VideoReader() = default;
VideoReader::VideoReader(VideoReader&&) noexcept = default;

const VideoInfo& VideoReader::info() const { return state_->info; }

bool VideoReader::next(VideoFrame& frame) {
  State& state = *state_;
  for (;;) {
    const int code = avcodec_receive_frame(state.decoder.get(), state.frame.get());
    if (code == AVERROR_EOF) return false;
    if (code == AVERROR(EAGAIN)) {
      state.feed();
      continue;
    }
    check_ffmpeg(code, state.what);
    state.take(frame);
    return true;
  }
}

at::Tensor read_video(const std::filesystem::path& file, int64_t last_frames) {
  FB_CHECK(last_frames == -1 || last_frames > 0, last_frames, " frames");
  return last_of(file, last_frames, [&, first = at::Tensor()](VideoFrame& frame) mutable {
    at::Tensor upright = turned(std::exchange(frame.rgb, {}), frame.orientation);
    if (!first.defined()) first = upright;
    if (upright.sizes() != first.sizes())
      throw MediaError("cannot read " + file.string() + ": its frames have several sizes, wanted one");
    return upright;
  });
}

at::Tensor read_video(const std::filesystem::path& file, int64_t width, int64_t height, int64_t last_frames) {
  FB_CHECK(last_frames > 0 && width > 0 && height > 0, last_frames, " frames of ", width, "x", height);
  return last_of(file, last_frames, [&](const VideoFrame& frame) {  // the small image is turned, not the large one
    const bool turn = frame.orientation.transposed;
    return turned(fill_size(frame.rgb, turn ? height : width, turn ? width : height, frame.pixel_aspect),
                  frame.orientation);
  });
}

}  // namespace flashblock
