// The segments of a video while it is rendered, for any number of viewers, and the streams that are available.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/file_descriptor.h"

namespace flashblock {

/// A video's init segment and segments, appended by the render and read by viewers at their own pace. They are stored
/// in one unnamed file, which the system deletes with its last user, however the program ends. So a video of any length
/// takes no memory, the newest segments are in the page cache, and NAME.parts can be deleted when the video is
/// finished. The render never waits for a viewer: the lock is held only to look at the list of segments. Thread safety:
/// append, begin and finish are called from one thread; all others from any.
class VideoStream {
 public:
  struct Segment {
    int64_t first_frame = 0;
    int64_t frames = 0;
    int64_t offset = 0;  ///< bytes in the file
    int64_t bytes = 0;
  };
  struct State {
    int64_t segments = 0;
    bool ended = false;  ///< no more segments will follow
  };

  /// Creates the file in `folder`. Throws: MediaError.
  VideoStream(const std::filesystem::path& folder, int64_t fps);

  /// Sets the init segment; called before the first append.
  void begin(std::string init_segment);
  /// Throws: MediaError, for example if the disk is full; the stream is then unchanged.
  void append(std::string_view bytes, int64_t first_frame, int64_t frames);
  void finish();

  int64_t fps() const { return fps_; }
  /// `video/mp4; codecs="avc1.64001e"`, as MediaSource requires; without codecs before begin().
  std::string content_type() const;
  std::string init_segment() const;
  State state() const;
  /// Waits until there are more than `segments`, or the stream has ended, or `timeout` has passed.
  State wait_for_more_than(int64_t segments, std::chrono::milliseconds timeout) const;
  /// All segments so far.
  std::vector<Segment> segments() const;
  Segment segment(int64_t index) const;
  /// `size` bytes of the file. Throws: MediaError.
  std::string read(int64_t offset, int64_t size) const;

 private:
  const int64_t fps_;
  FileDescriptor file_;
  int64_t end_ = 0;  ///< bytes in the file
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::string init_segment_;
  std::vector<Segment> segments_;
  bool ended_ = false;
};

/// A viewer's position in a stream. A viewer that is too slow skips segments.
class StreamCursor {
 public:
  enum class Start { kNewest, kFirst };

  /// Number of segments by which a viewer may be behind before it skips to the newest: enough to hide a short network
  /// outage.
  static constexpr int64_t kMostBehind = 16;

  explicit StreamCursor(Start start) : start_(start) {}

  /// The segment to send next; -1: none yet. A viewer that started at the newest segment and is too far behind skips to
  /// the newest.
  int64_t next(const VideoStream::State& state);
  void sent() { ++next_; }

  int64_t position() const { return next_; }
  int64_t skipped() const { return skipped_; }

 private:
  Start start_;
  bool begun_ = false;
  int64_t next_ = 0;
  int64_t skipped_ = 0;
};

/// HTTP Live Streaming: an event playlist of all segments so far. Until it has ended, players start near its end;
/// kFirst asks them to start at the first segment. `folder` is the prefix of the file names init.mp4, 000000.m4s,
/// 000001.m4s, ..., `query` follows them. Source: RFC 8216, version 7; EXT-X-START: section 4.3.5.2.
std::string hls_playlist(const std::vector<VideoStream::Segment>& segments, int64_t fps, const std::string& folder,
                         StreamCursor::Start start, bool ended, const std::string& query = "");

/// The index of a segment from its file name without extension; -1: not a segment's name.
int64_t hls_segment_index(const std::string& name);

/// Counters since the server started.
struct ViewerCounts {
  std::atomic<int64_t> streams{0};  ///< open now
  std::atomic<int64_t> events{0};   ///< event streams open now
  std::atomic<int64_t> segments_sent{0};
  std::atomic<int64_t> segments_skipped{0};  ///< because a viewer was too slow
  std::atomic<int64_t> playlists{0};         ///< HLS playlists sent
};

/// Counts a stream as open while it lives.
class OpenStream {
 public:
  explicit OpenStream(std::atomic<int64_t>& count) : count_(count) { ++count_; }
  ~OpenStream() { --count_; }
  OpenStream(const OpenStream&) = delete;
  OpenStream& operator=(const OpenStream&) = delete;

 private:
  std::atomic<int64_t>& count_;
};

/// The stream of the running video, or of the last one; earlier videos are available as files. A stream lives as long
/// as it has viewers. Thread safety: all members may be called from any thread.
class VideoStreams {
 public:
  /// Ends the stream before it.
  void set_current(const std::string& id, std::shared_ptr<VideoStream> stream);
  /// Drops the stream of a deleted video.
  void remove(const std::string& id);

  struct Current {
    std::string id;
    std::shared_ptr<const VideoStream> stream;  ///< null: none
  };
  Current current() const;
  /// The stream of a video to append more to; null: it has none, or it has ended.
  std::shared_ptr<VideoStream> continued(const std::string& id) const;
  /// Ends the stream of a video that is not rendered any more; others are not changed.
  void finish(const std::string& id);
  /// The stream of one video; null: it has none.
  std::shared_ptr<const VideoStream> find(const std::string& id) const;

  ViewerCounts& counts() { return counts_; }

 private:
  mutable std::mutex mutex_;
  std::string id_;
  std::shared_ptr<VideoStream> stream_;
  ViewerCounts counts_;
};

}  // namespace flashblock
