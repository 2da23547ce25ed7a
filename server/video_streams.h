// The streams that are available, and counters of their viewers.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "server/video_stream.h"

namespace flashblock {

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
  void set_current(const std::string& id, std::shared_ptr<VideoStream> stream);
  /// Drops the stream of a deleted video.
  void remove(const std::string& id);

  struct Found {
    std::string id;
    std::shared_ptr<const VideoStream> stream;  ///< null: none
  };
  Found current() const;
  /// The stream of one video.
  Found find(const std::string& id) const;

  ViewerCounts& counts() { return counts_; }

 private:
  mutable std::mutex mutex_;
  std::string id_;
  std::shared_ptr<VideoStream> stream_;
  ViewerCounts counts_;
};

}  // namespace flashblock
