#include "server/video_stream.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "core/check.h"
#include "core/error.h"

namespace flashblock {
namespace {

/// Creates an unnamed file, on file systems without O_TMPFILE by deleting its name.
FileDescriptor create_unnamed_file(const std::filesystem::path& folder) {
  FileDescriptor file(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file) return file;
  std::string name = (folder / ".preview-XXXXXX").string();
  file = FileDescriptor(::mkostemp(name.data(), O_CLOEXEC));
  if (!file)
    throw MediaError("cannot create a file for the stream in " + folder.string() + ": " + std::strerror(errno));
  ::unlink(name.c_str());
  return file;
}

/// avc1.PPCCLL: profile, compatibility and level, the three bytes after the version in the box avcC. Source: ISO/IEC
/// 14496-15, 5.3.3.1.2, and RFC 6381.
std::string codec_of(const std::string& init_segment) {
  const size_t box = init_segment.find("avcC");
  if (box == init_segment.npos || box + 8 > init_segment.size()) return "";
  const auto byte = [&](size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(init_segment[box + i])); };
  char text[16];
  std::snprintf(text, sizeof text, "avc1.%02x%02x%02x", byte(5), byte(6), byte(7));
  return text;
}

}  // namespace

VideoStream::VideoStream(const std::filesystem::path& folder, int64_t fps)
    : fps_(fps), file_(create_unnamed_file(folder)) {}

void VideoStream::begin(std::string init_segment) {
  const std::lock_guard lock(mutex_);
  init_segment_ = std::move(init_segment);
}

void VideoStream::append(std::string_view bytes, int64_t first_frame, int64_t frames) {
  for (size_t written = 0; written < bytes.size();) {
    const ssize_t count = ::pwrite(file_.get(), bytes.data() + written, bytes.size() - written,
                                   static_cast<off_t>(end_ + static_cast<int64_t>(written)));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw MediaError(std::string("cannot store a segment of the stream: ") + std::strerror(errno));
    written += static_cast<size_t>(count);
  }
  const std::lock_guard lock(mutex_);
  const auto size = static_cast<int64_t>(bytes.size());
  segments_.push_back({.first_frame = first_frame, .frames = frames, .offset = end_, .bytes = size});
  end_ += size;
  changed_.notify_all();
}

void VideoStream::finish() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

std::string VideoStream::content_type() const {
  const std::string codec = codec_of(init_segment());
  return codec.empty() ? "video/mp4" : "video/mp4; codecs=\"" + codec + "\"";
}

std::string VideoStream::init_segment() const {
  const std::lock_guard lock(mutex_);
  return init_segment_;
}

VideoStream::State VideoStream::state() const { return wait_for_more_than(-1, std::chrono::milliseconds(0)); }

VideoStream::State VideoStream::wait_for_more_than(int64_t segments, std::chrono::milliseconds timeout) const {
  std::unique_lock lock(mutex_);
  const auto count = [&] { return static_cast<int64_t>(segments_.size()); };
  changed_.wait_for(lock, timeout, [&] { return count() > segments || ended_; });
  return {.segments = count(), .ended = ended_};
}

std::vector<VideoStream::Segment> VideoStream::segments() const {
  const std::lock_guard lock(mutex_);
  return segments_;
}

VideoStream::Segment VideoStream::segment(int64_t index) const {
  const std::lock_guard lock(mutex_);
  FB_CHECK(index >= 0 && index < static_cast<int64_t>(segments_.size()), index, " of ", segments_.size(), " segments");
  return segments_[static_cast<size_t>(index)];
}

std::string VideoStream::read(int64_t offset, int64_t size) const {
  std::string bytes(static_cast<size_t>(size), '\0');
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t count = ::pread(file_.get(), bytes.data() + done, bytes.size() - done,
                                  static_cast<off_t>(offset + static_cast<int64_t>(done)));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) throw MediaError("cannot read a segment of the stream");
    done += static_cast<size_t>(count);
  }
  return bytes;
}

int64_t StreamCursor::next(const VideoStream::State& state) {
  const int64_t newest = state.segments - 1;
  if (!begun_ && newest >= 0) {
    if (start_ == Start::kNewest) next_ = newest;
    begun_ = true;
  }
  if (start_ == Start::kNewest && newest - next_ > kMostBehind) {
    skipped_ += newest - next_;
    next_ = newest;
  }
  return next_ <= newest ? next_ : -1;
}

std::string hls_playlist(const std::vector<VideoStream::Segment>& segments, int64_t fps, const std::string& folder,
                         StreamCursor::Start start, bool ended, const std::string& query) {
  int64_t longest = 1;  // frames
  for (const VideoStream::Segment& segment : segments) longest = std::max(longest, segment.frames);
  // No segment may be longer than the target duration when rounded to the nearest second.
  const int64_t target = std::max<int64_t>(1, (2 * longest + fps) / (2 * fps));
  std::string text = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:" + std::to_string(target) +
                     "\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-INDEPENDENT-SEGMENTS\n";
  if (start == StreamCursor::Start::kFirst && !ended) text += "#EXT-X-START:TIME-OFFSET=0\n";
  text += "#EXT-X-MAP:URI=\"" + folder + "init.mp4" + query + "\"\n";
  for (size_t i = 0; i < segments.size(); ++i) {
    char entry[64];
    std::snprintf(entry, sizeof entry, "#EXTINF:%.6f,\n",
                  static_cast<double>(segments[i].frames) / static_cast<double>(fps));
    char name[32];
    std::snprintf(name, sizeof name, "%06zu.m4s", i);
    text += entry + folder + name + query + "\n";
  }
  if (ended) text += "#EXT-X-ENDLIST\n";
  return text;
}

int64_t hls_segment_index(const std::string& name) {
  constexpr size_t kFewestDigits = 6, kMostDigits = 12;  // as in the playlist; so that the index fits
  if (name.size() < kFewestDigits || name.size() > kMostDigits) return -1;
  if (!std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; })) return -1;
  return std::strtoll(name.c_str(), nullptr, 10);
}

void VideoStreams::set_current(const std::string& id, std::shared_ptr<VideoStream> stream) {
  const std::lock_guard lock(mutex_);
  if (stream_ && stream_ != stream) stream_->finish();
  id_ = id;
  stream_ = std::move(stream);
}

void VideoStreams::remove(const std::string& id) {
  const std::lock_guard lock(mutex_);
  if (id_ == id) stream_.reset();
}

VideoStreams::Current VideoStreams::current() const {
  const std::lock_guard lock(mutex_);
  return {id_, stream_};
}

std::shared_ptr<VideoStream> VideoStreams::continued(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  return id_ == id && stream_ && !stream_->state().ended ? stream_ : nullptr;
}

void VideoStreams::finish(const std::string& id) {
  if (const auto stream = continued(id)) stream->finish();
}

std::shared_ptr<const VideoStream> VideoStreams::find(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  return id_ == id ? stream_ : nullptr;
}

}  // namespace flashblock
