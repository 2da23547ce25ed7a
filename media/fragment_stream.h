// Packets into one fragment of fragmented MP4, in memory. Private to media/.
#pragma once

#include <string>

#include "media/ffmpeg_handles.h"

namespace flashblock {

/// Ticks of a video's clock per frame: exact for every frame rate, fine enough for players.
inline constexpr int kTicksPerFrame = 1000;

/// Writes the init segment when made, then one fragment.
class FragmentStream {
 public:
  /// `encoder`: opened, with a global header; its time base is that of the packets. Not kept beyond the stream's life.
  explicit FragmentStream(const AVCodecContext& encoder);
  FragmentStream(const FragmentStream&) = delete;
  FragmentStream& operator=(const FragmentStream&) = delete;

  /// Adds a packet in decoding order and takes its data.
  void write(AVPacket& packet);
  /// The bytes before the first fragment.
  const std::string& init_segment() const { return init_segment_; }
  /// Ends the fragment and returns its bytes; empty without packets.
  std::string finish();

 private:
  std::string bytes_;  ///< what the muxer wrote and nobody took yet
  std::string init_segment_;
  AVRational packet_time_base_;
  ByteStream sink_;
  OutputPtr muxer_;
};

}  // namespace flashblock
