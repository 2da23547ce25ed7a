#include "media/video_muxer.h"

#include <algorithm>
#include <new>
#include <utility>

#include "core/error.h"
#include "media/fragment_stream.h"

namespace flashblock {
namespace {

AVStream& add_stream(AVFormatContext& muxer) {
  AVStream* stream = avformat_new_stream(&muxer, nullptr);
  if (!stream) throw std::bad_alloc();
  return *stream;
}

/// That goes with a codec for video.
AudioTrack::Codec audio_codec(AVCodecID video) {
  if (video == AV_CODEC_ID_PRORES) return AudioTrack::Codec::kPcm;
  return video == AV_CODEC_ID_FFV1 ? AudioTrack::Codec::kFlac : AudioTrack::Codec::kAac;
}

}  // namespace

VideoMuxer::VideoMuxer(OutputPtr muxer, const AVStream& source, const std::filesystem::path& audio, Check check)
    : muxer_(std::move(muxer)), time_base_(source.time_base), check_(std::move(check)) {
  AVStream& video = add_stream(*muxer_);
  check_ffmpeg(avcodec_parameters_copy(video.codecpar, source.codecpar), "cannot describe the video stream");
  const std::string name = muxer_->oformat->name;
  const bool mp4 = name == "mp4" || name == "mov";
  video.codecpar->codec_tag = mp4 ? mp4_tag(source.codecpar->codec_id) : 0;
  video.codecpar->color_range = AVCOL_RANGE_MPEG;  // MOV does not store it, so that segments in it have lost it
  video.time_base = source.time_base;
  video.avg_frame_rate = {source.time_base.den, kTicksPerFrame};
  if (audio.empty()) return;
  audio_ = std::make_unique<AudioTrack>(audio, audio_codec(source.codecpar->codec_id));
  AVStream& sound = add_stream(*muxer_);
  check_ffmpeg(avcodec_parameters_from_context(sound.codecpar, &audio_->encoder()), "cannot describe the sound");
  sound.codecpar->codec_tag = 0;
  sound.time_base = audio_->encoder().time_base;
}

void VideoMuxer::start(Dictionary& options) { check_(avformat_write_header(muxer_.get(), options.get())); }

void VideoMuxer::write(AVPacket& packet) {
  write_audio(packet.pts, &AudioTrack::next);
  end_ = std::max(end_, packet.pts + kTicksPerFrame);
  packet.stream_index = 0;
  packet.pos = -1;
  av_packet_rescale_ts(&packet, time_base_, muxer_->streams[0]->time_base);
  check_(av_write_frame(muxer_.get(), &packet));
}

void VideoMuxer::write_audio(int64_t frame_ticks, bool (AudioTrack::*next)(AVPacket&, int64_t)) {
  if (!audio_) return;
  const AVRational sample = audio_->encoder().time_base;
  const int64_t samples = av_rescale_q(frame_ticks, time_base_, sample);
  while ((audio_.get()->*next)(*audio_packet_, samples)) {
    audio_packet_->stream_index = 1;
    av_packet_rescale_ts(audio_packet_.get(), sample, muxer_->streams[1]->time_base);
    check_(av_write_frame(muxer_.get(), audio_packet_.get()));
    av_packet_unref(audio_packet_.get());
  }
}

void VideoMuxer::flush() {
  check_(av_write_frame(muxer_.get(), nullptr));
  if (muxer_->pb) avio_flush(muxer_->pb);
}

void VideoMuxer::finish() {
  write_audio(end_, &AudioTrack::next_to_the_end);
  check_(av_write_trailer(muxer_.get()));
}

}  // namespace flashblock
