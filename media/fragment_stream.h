// Packets into one fragment of fragmented MP4, in memory. Private to media/.
#pragma once

#include <string>

#include "media/ffmpeg_handles.h"

namespace flashblock {

/// Ticks of a video's clock per frame: exact for every frame rate, fine enough for players.
inline constexpr int kTicksPerFrame = 1000;

/// The four letters that name a codec in MP4; 0: FFmpeg's choice.
uint32_t mp4_tag(AVCodecID codec);

/// Writes the init segment on construction, then one fragment.
class FragmentStream {
 public:
  /// `encoder`: opened, with a global header; its time base is that of the packets. `muxer`: `mp4` or `mov`. Both are
  /// only used by the constructor.
  FragmentStream(const AVCodecContext& encoder, const char* muxer);
  FragmentStream(const FragmentStream&) = delete;
  FragmentStream& operator=(const FragmentStream&) = delete;

  /// Adds the next packet in decoding order; takes ownership of its data.
  void write(AVPacket& packet);
  /// The bytes before the first fragment.
  const std::string& init_segment() const { return init_segment_; }
  /// Ends the fragment and returns its bytes; empty without packets.
  std::string finish();

 private:
  std::string bytes_;  ///< written by the muxer, not returned yet
  std::string init_segment_;
  AVRational packet_time_base_;
  ByteStream sink_;
  OutputPtr muxer_;
};

}  // namespace flashblock
