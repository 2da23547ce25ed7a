#include "media/video_reader.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/stack.h>

#include <deque>
#include <limits>
#include <utility>

#include "core/check.h"
#include "core/error.h"
#include "media/ffmpeg_handles.h"
#include "media/frame_conversion.h"

namespace flashblock {
namespace {

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

}  // namespace

struct VideoReader::State {
  std::string what;  ///< prefix of every error message
  InputPtr input;
  const AVStream* stream = nullptr;
  CodecContextPtr decoder;
  VideoInfo info;
  PacketPtr packet = make_packet();
  FramePtr frame = make_frame();
  bool flushing = false;

  /// Sends the decoder the stream's next packet, or the end of the stream.
  void feed();
};

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
  state_->decoder = open_decoder(*state_->stream, codec, state_->what);
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
    frame.rgb = frame_to_rgb24(*state.frame);
    frame.seconds = static_cast<double>(state.frame->best_effort_timestamp) * av_q2d(state.stream->time_base);
    frame.key_frame = state.frame->pict_type == AV_PICTURE_TYPE_I;
    return true;
  }
}

at::Tensor read_video(const std::filesystem::path& file, int64_t last_frames) {
  FB_CHECK(last_frames == -1 || last_frames > 0, last_frames, " frames");
  const auto kept = last_frames == -1 ? std::numeric_limits<size_t>::max() : static_cast<size_t>(last_frames);
  VideoReader reader(file);
  std::deque<at::Tensor> frames;
  VideoFrame frame;
  while (reader.next(frame)) {
    frames.push_back(frame.rgb);
    if (frames.size() > kept) frames.pop_front();
  }
  if (frames.empty()) throw MediaError("cannot read " + file.string() + ": found no frames");
  return from_rgb24(at::stack(std::vector<at::Tensor>(frames.begin(), frames.end())));
}

}  // namespace flashblock
