// Sends the segments of a video on while it is made: to standard output, and to receivers on the network.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "media/video_codec.h"

namespace flashblock {

/// Gets the segments of one video in order, each as soon as it is on disk.
/// Thread safety: none; one thread at a time.
class SegmentReceiver {
 public:
  virtual ~SegmentReceiver() = default;
  /// Throws: MediaError if the video cannot go on without this receiver.
  virtual void write(const std::filesystem::path& init_segment, const std::filesystem::path& segment) = 0;
  /// After the last segment. Throws: as write().
  virtual void finish() = 0;
};

/// Writes to standard output, and waits for its reader: fragmented MP4, or raw frames that are decoded from the
/// segments. From its construction on, what the rest of the process writes to standard output goes to standard error,
/// and SIGPIPE is ignored. Throws, also later: MediaError if the reader is gone.
/// `container`: kMp4Stream or kY4mStream. `audio`: of kMp4Stream, mixed in; empty: none.
std::unique_ptr<SegmentReceiver> make_standard_output(Container container, const std::filesystem::path& audio);

/// Sends to `url` on a thread of its own, and never waits: rtmp:// as FLV, srt:// and udp:// as MPEG-TS,
/// rtsp://, or a file by its ending. A receiver that is absent or fails is tried again every second, and gets the video
/// from the next segment on. `report` is called with what happens to the connection, on any thread. finish() waits up
/// to ten seconds for what is still to be sent. Does not throw after construction.
std::unique_ptr<SegmentReceiver> make_tee(const std::string& url, const std::filesystem::path& audio,
                                          std::function<void(const std::string&)> report);

/// Whether `target` is an address, and no file.
bool is_url(const std::string& target);

/// Throws: ConfigError if the FFmpeg in use cannot send to this URL, or a file's ending names no container.
void check_tee(const std::string& url);

}  // namespace flashblock
