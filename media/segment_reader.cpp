#include "media/segment_reader.h"

#include <cerrno>
#include <new>

#include "core/error.h"
#include "media/fragment_stream.h"

namespace flashblock {

SegmentReader::SegmentReader(const std::filesystem::path& init_segment, const std::filesystem::path& segment,
                             Reorder reorder)
    : files_({init_segment, segment}),
      reorder_(reorder),
      source_(ByteStream::reader([this](uint8_t* buffer, int capacity) { return read(buffer, capacity); })) {
  silence_ffmpeg_log();
  AVFormatContext* input = avformat_alloc_context();
  if (!input) throw std::bad_alloc();
  input->pb = source_.get();
  input->flags |= AVFMT_FLAG_CUSTOM_IO;
  check_ffmpeg(avformat_open_input(&input, nullptr, av_find_input_format("mov"), nullptr),
               "cannot read the video's segments");  // frees the context when it fails
  input_.reset(input);
  if (input_->nb_streams != 1) throw MediaError("the video's segments hold no video stream");
  const AVCodecID codec = stream().codecpar->codec_id;
  reorders_ = codec == AV_CODEC_ID_H264 || codec == AV_CODEC_ID_HEVC;
}

int SegmentReader::read(uint8_t* buffer, int capacity) {
  for (;;) {
    if (!file_.is_open()) {
      if (next_file_ == files_.size()) return 0;
      file_.open(files_[next_file_], std::ios::binary);
      if (!file_) return AVERROR(errno ? errno : EIO);
      ++next_file_;
    }
    file_.read(reinterpret_cast<char*>(buffer), capacity);
    if (file_.bad()) return AVERROR(EIO);
    if (const auto count = static_cast<int>(file_.gcount()); count > 0) return count;
    file_.close();
    file_.clear();
  }
}

bool SegmentReader::next(AVPacket& packet) {
  av_packet_unref(&packet);
  const int code = av_read_frame(input_.get(), &packet);
  if (code == AVERROR_EOF) return false;
  check_ffmpeg(code, "cannot read the video's segments");
  // FFmpeg moves the times of a fragment later, by the depth of its frame reordering. A segment begins with the frame
  // that is shown first, so its first packet shows by how much.
  if (!shift_) shift_ = packet.pts - packet.dts;
  packet.pts -= *shift_;
  packet.dts = reorders_ ? packet.dts - int64_t{reorder_} * kTicksPerFrame : packet.pts;
  return true;
}

}  // namespace flashblock
