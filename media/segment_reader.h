// Packets of the segments on disk, in the video's time. Private to media/.
#pragma once

#include <filesystem>
#include <fstream>
#include <optional>
#include <vector>

#include "media/ffmpeg_handles.h"

namespace flashblock {

/// Reads one segment.
class SegmentReader {
 public:
  /// Frames by which decoding times lie before the times of the frames. They continue evenly from segment to segment
  /// if no segment reorders more frames than that.
  /// kAnyReorder: H.264 and HEVC reorder at most 16 frames (ITU-T H.264, A.3.1 and E.2.1, max_num_reorder_frames).
  /// kOurReorder: libx264 and libx265 reorder two at most, whatever their preset (a pyramid of B-frames has one level).
  enum Reorder { kOurReorder = 2, kAnyReorder = 16 };

  /// Throws: MediaError.
  SegmentReader(const std::filesystem::path& init_segment, const std::filesystem::path& segment, Reorder reorder);
  SegmentReader(const SegmentReader&) = delete;
  SegmentReader& operator=(const SegmentReader&) = delete;

  const AVStream& stream() const { return *input_->streams[0]; }

  /// The next packet, in decoding order; false at the end. Throws: MediaError.
  bool next(AVPacket& packet);

 private:
  int read(uint8_t* buffer, int capacity);

  std::vector<std::filesystem::path> files_;  ///< read one after the other
  size_t next_file_ = 0;
  std::ifstream file_;
  Reorder reorder_;
  bool reorders_ = false;  ///< the codec: others show frames in decoding order
  ByteStream source_;
  InputPtr input_;
  std::optional<int64_t> shift_;
};

}  // namespace flashblock
