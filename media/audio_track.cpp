#include "media/audio_track.h"

#include <algorithm>
#include <new>
#include <string>

#include "core/error.h"
#include "media/ffmpeg_handles.h"

namespace flashblock {
namespace {

constexpr int kPcmFrame = 1024;        // samples in a packet of PCM
constexpr int64_t kBitRate = 192'000;  // of AAC, bits per second

CodecContextPtr open_audio_encoder(AudioTrack::Codec codec) {
  const bool aac = codec == AudioTrack::Codec::kAac;
  const bool flac = codec == AudioTrack::Codec::kFlac;
  const AVCodecID id = aac ? AV_CODEC_ID_AAC : flac ? AV_CODEC_ID_FLAC : AV_CODEC_ID_PCM_S16LE;
  const AVCodec* found = avcodec_find_encoder(id);
  if (!found) throw MediaError(std::string("this build of FFmpeg has no encoder for ") + avcodec_get_name(id));
  CodecContextPtr encoder(avcodec_alloc_context3(found));
  encoder->sample_rate = AudioTrack::kSampleRate;
  encoder->sample_fmt = aac ? AV_SAMPLE_FMT_FLTP : AV_SAMPLE_FMT_S16;
  encoder->ch_layout = AV_CHANNEL_LAYOUT_STEREO;
  encoder->time_base = {1, AudioTrack::kSampleRate};
  encoder->bit_rate = aac ? kBitRate : 0;
  encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT;
  check_ffmpeg(avcodec_open2(encoder.get(), found, nullptr), "cannot start the audio encoder");
  return encoder;
}

FramePtr make_audio_frame(const AVCodecContext& encoder, int samples) {
  FramePtr frame = make_frame();
  frame->format = encoder.sample_fmt;
  frame->nb_samples = samples;
  frame->sample_rate = encoder.sample_rate;
  check_ffmpeg(av_channel_layout_copy(&frame->ch_layout, &encoder.ch_layout), "cannot allocate sound");
  check_ffmpeg(av_frame_get_buffer(frame.get(), 0), "cannot allocate sound");
  return frame;
}

}  // namespace

/// Decoded samples, in the encoder's format. Of this file alone.
class AudioSource {
 public:
  explicit AudioSource(const std::filesystem::path& file) : what_("audio " + file.string()) {
    silence_ffmpeg_log();
    AVFormatContext* input = nullptr;
    check_ffmpeg(avformat_open_input(&input, ffmpeg_url(file).c_str(), nullptr, nullptr), what_);
    input_.reset(input);
    check_ffmpeg(avformat_find_stream_info(input, nullptr), what_);
    const AVCodec* codec = nullptr;
    index_ = av_find_best_stream(input, AVMEDIA_TYPE_AUDIO, -1, -1, &codec, 0);
    if (index_ < 0) throw MediaError(what_ + ": found no sound that this build of FFmpeg decodes");
    decoder_.reset(avcodec_alloc_context3(codec));
    const AVStream& stream = *input->streams[index_];
    check_ffmpeg(avcodec_parameters_to_context(decoder_.get(), stream.codecpar), what_);
    decoder_->pkt_timebase = stream.time_base;
    check_ffmpeg(avcodec_open2(decoder_.get(), codec, nullptr), what_);
  }

  /// Fills the frame; what the file does not have is silence.
  void read(AVFrame& frame, const AVCodecContext& encoder) {
    prepare(encoder);
    while (av_audio_fifo_size(samples_.get()) < frame.nb_samples && !ended_) decode(encoder);
    const int count = std::min(av_audio_fifo_size(samples_.get()), frame.nb_samples);
    auto** planes = reinterpret_cast<void**>(frame.extended_data);
    check_ffmpeg(av_audio_fifo_read(samples_.get(), planes, count), what_);
    if (count == frame.nb_samples) return;
    av_samples_set_silence(frame.extended_data, count, frame.nb_samples - count, frame.ch_layout.nb_channels,
                           static_cast<AVSampleFormat>(frame.format));
  }

 private:
  void prepare(const AVCodecContext& encoder) {
    if (samples_) return;
    samples_.reset(av_audio_fifo_alloc(encoder.sample_fmt, encoder.ch_layout.nb_channels, 1));
    if (!samples_) throw std::bad_alloc();
  }

  void decode(const AVCodecContext& encoder) {
    const int code = avcodec_receive_frame(decoder_.get(), decoded_.get());
    if (code == AVERROR(EAGAIN)) return feed();
    if (code == AVERROR_EOF) {
      ended_ = true;
      if (resampler_) convert(nullptr, encoder);
      return;
    }
    check_ffmpeg(code, what_);
    if (!resampler_) open_resampler(encoder);
    convert(decoded_.get(), encoder);
  }

  void feed() {
    while (true) {
      const int code = av_read_frame(input_.get(), packet_.get());
      if (code == AVERROR_EOF) break;
      check_ffmpeg(code, what_);
      const bool ours = packet_->stream_index == index_;
      // A damaged packet is left out, as players do.
      const int sent = ours ? avcodec_send_packet(decoder_.get(), packet_.get()) : 0;
      av_packet_unref(packet_.get());
      if (ours && sent >= 0) return;
    }
    check_ffmpeg(avcodec_send_packet(decoder_.get(), nullptr), what_);
  }

  void open_resampler(const AVCodecContext& encoder) {
    AVChannelLayout layout = decoded_->ch_layout;
    if (layout.order == AV_CHANNEL_ORDER_UNSPEC) av_channel_layout_default(&layout, decoded_->ch_layout.nb_channels);
    AVChannelLayout to = encoder.ch_layout;  // older versions of FFmpeg take no const
    SwrContext* resampler = nullptr;
    check_ffmpeg(swr_alloc_set_opts2(&resampler, &to, encoder.sample_fmt, encoder.sample_rate, &layout,
                                     static_cast<AVSampleFormat>(decoded_->format), decoded_->sample_rate, 0, nullptr),
                 what_);
    resampler_.reset(resampler);
    check_ffmpeg(swr_init(resampler), what_);
  }

  /// Null: the rest, at the end.
  void convert(const AVFrame* frame, const AVCodecContext& encoder) {
    const int in = frame ? frame->nb_samples : 0;
    const int room = check_ffmpeg(swr_get_out_samples(resampler_.get(), in), what_);
    if (room == 0) return;
    const FramePtr out = make_audio_frame(encoder, room);
    auto** from = frame ? const_cast<const uint8_t**>(frame->extended_data) : nullptr;
    const int count = check_ffmpeg(swr_convert(resampler_.get(), out->extended_data, room, from, in), what_);
    check_ffmpeg(av_audio_fifo_write(samples_.get(), reinterpret_cast<void**>(out->extended_data), count), what_);
  }

  std::string what_;
  InputPtr input_;
  int index_ = -1;
  CodecContextPtr decoder_;
  ResamplerPtr resampler_;  ///< from the first frame on
  AudioFifoPtr samples_;
  PacketPtr packet_ = make_packet();
  FramePtr decoded_ = make_frame();
  bool ended_ = false;
};

void check_audio_file(const std::filesystem::path& file) { const AudioSource source(file); }

struct AudioTrack::State {
  AudioSource source;
  CodecContextPtr encoder;
  int64_t encoded = 0;  ///< samples
  bool flushed = false;

  /// A finished packet, if there is one.
  bool receive(AVPacket& packet) {
    for (;;) {
      const int code = avcodec_receive_packet(encoder.get(), &packet);
      if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return false;
      check_ffmpeg(code, "the audio encoder failed");
      if (packet.pts >= 0) return true;
      av_packet_unref(&packet);
    }
  }

  void encode(int samples) {
    const FramePtr frame = make_audio_frame(*encoder, samples);
    source.read(*frame, *encoder);
    frame->pts = encoded;
    encoded += samples;
    check_ffmpeg(avcodec_send_frame(encoder.get(), frame.get()), "the audio encoder failed");
  }

  int frame_size() const { return encoder->frame_size > 0 ? encoder->frame_size : kPcmFrame; }
};

AudioTrack::AudioTrack(const std::filesystem::path& file, Codec codec)
    : state_(new State{.source = AudioSource(file), .encoder = open_audio_encoder(codec)}) {}
AudioTrack::~AudioTrack() = default;

const AVCodecContext& AudioTrack::encoder() const { return *state_->encoder; }

bool AudioTrack::next(AVPacket& packet, int64_t end) {
  while (!state_->receive(packet)) {
    if (state_->encoded + state_->frame_size() > end) return false;
    state_->encode(state_->frame_size());
  }
  return true;
}

bool AudioTrack::next_to_the_end(AVPacket& packet, int64_t length) {
  State& state = *state_;
  while (!state.receive(packet)) {
    if (state.flushed) return false;
    if (state.encoded < length) {
      state.encode(static_cast<int>(std::min<int64_t>(state.frame_size(), length - state.encoded)));
    } else {
      check_ffmpeg(avcodec_send_frame(state.encoder.get(), nullptr), "the audio encoder failed");
      state.flushed = true;
    }
  }
  return true;
}

}  // namespace flashblock
