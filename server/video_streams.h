// The streams that viewers may ask for, and what they took.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "server/video_stream.h"

namespace flashblock {

/// Viewers since the server began.
struct ViewerCounts {
  std::atomic<int64_t> streams{0};  ///< open now
  std::atomic<int64_t> events{0};   ///< event streams open now
  std::atomic<int64_t> segments_sent{0};
  std::atomic<int64_t> segments_skipped{0};  ///< that viewers were too slow for
  std::atomic<int64_t> playlists{0};         ///< HLS playlists sent
};

/// The stream of the video that is rendered, or was last: earlier ones are finished videos. Viewers keep theirs as long
/// as they watch it. Thread safety: all members may be called from any thread.
class VideoStreams {
 public:
  void set_current(const std::string& id, std::shared_ptr<VideoStream> stream);
  /// Forgets the stream of a removed video.
  void remove(const std::string& id);

  struct Found {
    std::string id;
    std::shared_ptr<const VideoStream> stream;  ///< null: none
  };
  Found current() const;
  /// That of one video.
  Found find(const std::string& id) const;

  ViewerCounts& counts() { return counts_; }

 private:
  mutable std::mutex mutex_;
  std::string id_;
  std::shared_ptr<VideoStream> stream_;
  ViewerCounts counts_;
};

}  // namespace flashblock
