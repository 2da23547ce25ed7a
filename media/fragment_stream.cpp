#include "media/fragment_stream.h"

#include <new>
#include <utility>

namespace flashblock {
namespace {

// Absolute time in every fragment needs both of the last two flags: without them each fragment starts at zero.
constexpr const char* kMuxerFlags = "frag_custom+empty_moov+default_base_moof+frag_discont+negative_cts_offsets";

OutputPtr make_muxer(const char* name) {
  AVFormatContext* muxer = nullptr;
  check_ffmpeg(avformat_alloc_output_context2(&muxer, nullptr, name, nullptr), "cannot write MP4");
  return OutputPtr(muxer);
}

}  // namespace

uint32_t mp4_tag(AVCodecID codec) {
  // FFmpeg's choice for HEVC is hev1, which Apple's players refuse.
  return codec == AV_CODEC_ID_HEVC ? MKTAG('h', 'v', 'c', '1') : 0;
}

FragmentStream::FragmentStream(const AVCodecContext& encoder, const char* muxer)
    : packet_time_base_(encoder.time_base),
      sink_(ByteStream::writer([this](std::string_view bytes) {
        bytes_.append(bytes);
        return static_cast<int>(bytes.size());
      })),
      muxer_(make_muxer(muxer)) {
  muxer_->pb = sink_.get();
  muxer_->flags |= AVFMT_FLAG_BITEXACT | AVFMT_FLAG_CUSTOM_IO;
  AVStream* stream = avformat_new_stream(muxer_.get(), nullptr);
  if (!stream) throw std::bad_alloc();
  check_ffmpeg(avcodec_parameters_from_context(stream->codecpar, &encoder), "cannot describe the video stream");
  stream->codecpar->codec_tag = mp4_tag(encoder.codec_id);
  stream->time_base = {packet_time_base_.num, packet_time_base_.den * kTicksPerFrame};
  stream->avg_frame_rate = encoder.framerate;
  Dictionary options;
  options.set("movflags", kMuxerFlags);
  options.set("video_track_timescale", std::to_string(stream->time_base.den));
  check_ffmpeg(avformat_write_header(muxer_.get(), options.get()), "cannot write the MP4 header");
  avio_flush(sink_.get());
  init_segment_ = std::exchange(bytes_, {});
}

void FragmentStream::write(AVPacket& packet) {
  packet.stream_index = 0;
  av_packet_rescale_ts(&packet, packet_time_base_, muxer_->streams[0]->time_base);
  check_ffmpeg(av_write_frame(muxer_.get(), &packet), "cannot write an MP4 fragment");
  av_packet_unref(&packet);
}

std::string FragmentStream::finish() {
  check_ffmpeg(av_write_frame(muxer_.get(), nullptr), "cannot end an MP4 fragment");
  avio_flush(sink_.get());
  return std::exchange(bytes_, {});  // without the trailer, an index of the fragments that belongs to no segment
}

}  // namespace flashblock
