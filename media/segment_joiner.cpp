#include "media/segment_joiner.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <utility>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/output_path.h"
#include "media/ffmpeg_handles.h"
#include "media/segment_reader.h"
#include "media/video_codec.h"
#include "media/video_muxer.h"

namespace flashblock {
namespace {

[[noreturn]] void fail(const std::filesystem::path& video, int error) {
  const bool full = error == ENOSPC || error == EDQUOT;
  throw MediaError(
      "cannot write " + video.string() + ": " + std::strerror(error) +
          "; its segments are kept and play when concatenated",
      {.remedies = {{full ? "free some space, and continue" : "continue when it can be written", "resume", "true"}}});
}

/// The video under its temporary name; the file is removed unless the video is finished.
class VideoFile {
 public:
  explicit VideoFile(const std::filesystem::path& video) : video_(video), unfinished_(unfinished_name(video)) {}
  ~VideoFile() {
    avio_closep(&bytes_);
    std::error_code ignored;
    if (!finished_) std::filesystem::remove(unfinished_, ignored);
  }
  VideoFile(const VideoFile&) = delete;
  VideoFile& operator=(const VideoFile&) = delete;

  const std::filesystem::path& unfinished() const { return unfinished_; }

  /// Opens it for `muxer`.
  void open(AVFormatContext& muxer) {
    check(avio_open(&bytes_, muxer.url, AVIO_FLAG_WRITE));
    muxer.pb = bytes_;
  }

  /// Checks FFmpeg's result for this file.
  void check(int code) const {
    if (code < 0) fail(video_, AVUNERROR(code));
  }

  /// After the muxer's end.
  void finish() {
    check(bytes_->error);
    check(avio_closep(&bytes_));
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
  AVIOContext* bytes_ = nullptr;
  bool finished_ = false;
};

void set_options(Container container, const AVStream& source, Dictionary& options) {
  switch (container) {
    case Container::kMp4:
    case Container::kMov:
      // Without negative_cts_offsets a video without an edit list starts late; without use_metadata_tags custom keys
      // are dropped.
      options.set("movflags", "faststart+negative_cts_offsets+use_metadata_tags");
      options.set("use_editlist", "0");
      options.set("video_track_timescale", std::to_string(source.time_base.den));
      return;
    default:
      return;
  }
}

OutputPtr open_video(Container container, const std::filesystem::path& file,
                     const std::map<std::string, std::string>& metadata) {
  AVFormatContext* muxer = nullptr;
  const char* name = container == Container::kMatroska ? "matroska" : container == Container::kMov ? "mov" : "mp4";
  check_ffmpeg(avformat_alloc_output_context2(&muxer, nullptr, name, ffmpeg_url(file).c_str()),
               std::string("cannot write ") + name);
  OutputPtr owner(muxer);
  muxer->flags |= AVFMT_FLAG_BITEXACT;
  if (container == Container::kMatroska) muxer->avoid_negative_ts = 0;  // decoding times, which it does not store
  for (const auto& [key, value] : metadata) av_dict_set(&muxer->metadata, key.c_str(), value.c_str(), 0);
  return owner;
}

/// Calls `write` with all packets of the segments.
template <typename Write>
void for_each_packet(const SegmentFiles& segments, const Write& write) {
  const PacketPtr packet = make_packet();
  for (const std::filesystem::path& segment : segments.files) {
    SegmentReader reader(segments.init_segment, segment, SegmentReader::kAnyReorder);
    while (reader.next(*packet)) write(*packet);
  }
}

}  // namespace

void join_segments(const SegmentFiles& segments, const std::filesystem::path& video,
                   const std::map<std::string, std::string>& metadata, const std::filesystem::path& audio) {
  const Container container = container_of(video);
  VideoFile file(video);
  const SegmentReader first(segments.init_segment, segments.files.at(0), SegmentReader::kAnyReorder);
  OutputPtr context = open_video(container, file.unfinished(), metadata);
  file.open(*context);
  VideoMuxer muxer(std::move(context), first.stream(), audio, [&](int code) { file.check(code); });
  Dictionary options;
  set_options(container, first.stream(), options);
  muxer.start(options);
  for_each_packet(segments, [&](AVPacket& packet) { muxer.write(packet); });
  muxer.finish();
  file.finish();
}

void write_images(const SegmentFiles& segments, const std::filesystem::path& pattern, int64_t replaced) {
  int number = 0;
  for_each_packet(segments, [&](const AVPacket& packet) {
    AtomicFile image(image_file(pattern, ++number));
    image.write(std::string_view(reinterpret_cast<const char*>(packet.data), static_cast<size_t>(packet.size)));
    image.commit(FolderSync::kLater);
  });
  std::error_code error;
  while (++number <= replaced) std::filesystem::remove(image_file(pattern, number), error);
  sync_folder(pattern.parent_path());
}

std::filesystem::path image_file(const std::filesystem::path& pattern, int number) {
  char name[32];
  std::snprintf(name, sizeof name, "%06d.png", number);
  return pattern.parent_path() / name;
}

}  // namespace flashblock
