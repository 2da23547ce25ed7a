#include "media/segment_joiner.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <new>
#include <optional>
#include <utility>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/file_descriptor.h"
#include "media/ffmpeg_handles.h"
#include "media/fragment_stream.h"

namespace flashblock {
namespace {

/// Decoding times lie this far before the earliest that any segment may need, so that they continue evenly from segment
/// to segment. H.264 reorders at most 16 frames (ITU-T H.264, A.3.1 and E.2.1, max_num_reorder_frames). It does not
/// affect the video: the muxer counts composition offsets from the first frame.
constexpr int64_t kMaxReorderFrames = 16;

/// Several files as one stream of bytes.
class FileSequence {
 public:
  explicit FileSequence(std::vector<std::filesystem::path> files) : files_(std::move(files)) {}

  /// As ByteStream::Read.
  int read(uint8_t* buffer, int capacity) {
    for (;;) {
      if (!file_.is_open()) {
        if (next_ == files_.size()) return 0;
        file_.open(files_[next_], std::ios::binary);
        if (!file_) return AVERROR(errno ? errno : EIO);
        ++next_;
      }
      file_.read(reinterpret_cast<char*>(buffer), capacity);
      if (file_.bad()) return AVERROR(EIO);
      if (const auto count = static_cast<int>(file_.gcount()); count > 0) return count;
      file_.close();
      file_.clear();
    }
  }

 private:
  std::vector<std::filesystem::path> files_;
  size_t next_ = 0;
  std::ifstream file_;
};

/// Packets of one segment, in the video's time.
class SegmentReader {
 public:
  SegmentReader(const std::filesystem::path& init_segment, const std::filesystem::path& segment)
      : files_({init_segment, segment}),
        source_(ByteStream::reader([this](uint8_t* buffer, int capacity) { return files_.read(buffer, capacity); })) {
    silence_ffmpeg_log();
    AVFormatContext* input = avformat_alloc_context();
    if (!input) throw std::bad_alloc();
    input->pb = source_.get();
    input->flags |= AVFMT_FLAG_CUSTOM_IO;
    check_ffmpeg(avformat_open_input(&input, nullptr, av_find_input_format("mov"), nullptr),
                 "cannot read the video's segments");  // frees the context when it fails
    input_.reset(input);
    if (input_->nb_streams != 1) throw MediaError("the video's segments hold no video stream");
  }

  const AVStream& stream() const { return *input_->streams[0]; }

  /// The next packet, in decoding order; false at the end.
  bool next(AVPacket& packet) {
    av_packet_unref(&packet);
    const int code = av_read_frame(input_.get(), &packet);
    if (code == AVERROR_EOF) return false;
    check_ffmpeg(code, "cannot read the video's segments");
    // FFmpeg moves the times of a fragment later, by the depth of its frame reordering. A segment begins with the frame
    // that is shown first, so its first packet shows by how much.
    if (!shift_) shift_ = packet.pts - packet.dts;
    packet.pts -= *shift_;
    packet.dts -= kMaxReorderFrames * kTicksPerFrame;
    return true;
  }

 private:
  FileSequence files_;
  ByteStream source_;
  InputPtr input_;
  std::optional<int64_t> shift_;
};

[[noreturn]] void fail(const std::filesystem::path& video, int error) {
  throw MediaError("cannot write " + video.string() + ": " + std::strerror(error) +
                       "; its segments are kept and play when concatenated: free some space",
                   {.remedies = {{"continue", "resume", "true"}}});
}

/// The video under its temporary name; the file is removed unless the video is finished.
class VideoFile {
 public:
  explicit VideoFile(const std::filesystem::path& video) : video_(video), unfinished_(video.string() + ".part") {
    AVFormatContext* muxer = nullptr;
    check_ffmpeg(avformat_alloc_output_context2(&muxer, nullptr, "mp4", ffmpeg_url(unfinished_).c_str()),
                 "cannot write MP4");
    muxer_.reset(muxer);
    muxer_->flags |= AVFMT_FLAG_BITEXACT;
    check(avio_open(&muxer_->pb, muxer_->url, AVIO_FLAG_WRITE));
  }
  ~VideoFile() {
    if (muxer_->pb) avio_closep(&muxer_->pb);
    std::error_code ignored;
    if (!finished_) std::filesystem::remove(unfinished_, ignored);
  }

  AVFormatContext& muxer() { return *muxer_; }

  /// Checks FFmpeg's result for this file.
  void check(int code) const {
    if (code < 0) fail(video_, AVUNERROR(code));
  }

  void finish() {
    check(av_write_trailer(muxer_.get()));
    check(muxer_->pb->error);
    check(avio_closep(&muxer_->pb));
    publish();
    finished_ = true;
  }

 private:
  /// Syncs, renames. FFmpeg opens files itself, and the index in front needs a second pass: hence no AtomicFile.
  void publish() const {
    const FileDescriptor file(::open(unfinished_.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file || ::fsync(file.get()) != 0) fail(video_, errno);
    if (::rename(unfinished_.c_str(), video_.c_str()) != 0) fail(video_, errno);
    sync_folder(video_.parent_path());
  }

  std::filesystem::path video_;
  std::filesystem::path unfinished_;
  OutputPtr muxer_;
  bool finished_ = false;
};

void start_video(VideoFile& file, const AVStream& source, const std::map<std::string, std::string>& metadata) {
  AVFormatContext& muxer = file.muxer();
  AVStream* stream = avformat_new_stream(&muxer, nullptr);
  if (!stream) throw std::bad_alloc();
  check_ffmpeg(avcodec_parameters_copy(stream->codecpar, source.codecpar), "cannot describe the H.264 stream");
  stream->codecpar->codec_tag = 0;
  stream->time_base = source.time_base;
  stream->avg_frame_rate = {source.time_base.den, kTicksPerFrame};
  for (const auto& [key, value] : metadata) av_dict_set(&muxer.metadata, key.c_str(), value.c_str(), 0);
  Dictionary options;
  // Without negative_cts_offsets a video without an edit list starts late; without use_metadata_tags custom keys are
  // dropped.
  options.set("movflags", "faststart+negative_cts_offsets+use_metadata_tags");
  options.set("use_editlist", "0");
  options.set("video_track_timescale", std::to_string(source.time_base.den));
  file.check(avformat_write_header(&muxer, options.get()));
}

void copy_packets(SegmentReader& reader, VideoFile& file) {
  const PacketPtr packet = make_packet();
  while (reader.next(*packet)) {
    av_packet_rescale_ts(packet.get(), reader.stream().time_base, file.muxer().streams[0]->time_base);
    packet->pos = -1;
    file.check(av_write_frame(&file.muxer(), packet.get()));
  }
}

}  // namespace

void join_segments(const std::filesystem::path& init_segment, const std::vector<std::filesystem::path>& segments,
                   const std::filesystem::path& video, const std::map<std::string, std::string>& metadata) {
  VideoFile file(video);
  start_video(file, SegmentReader(init_segment, segments.at(0)).stream(), metadata);
  for (const std::filesystem::path& segment : segments) {
    SegmentReader reader(init_segment, segment);
    copy_packets(reader, file);
  }
  file.finish();
}

}  // namespace flashblock
