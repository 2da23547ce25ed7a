// The segments of a video while it is rendered, for any number of viewers.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
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

}  // namespace flashblock
