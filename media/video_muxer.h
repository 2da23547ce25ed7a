// Packets of a video, and its sound, into one container. Private to media/.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "media/audio_track.h"
#include "media/ffmpeg_handles.h"

namespace flashblock {

/// Writes the video's packets as they come, and between them the sound up to their time.
class VideoMuxer {
 public:
  /// Takes FFmpeg's result of each call that writes; may throw.
  using Check = std::function<void(int code)>;

  /// `muxer`: with its byte stream. `source`: describes the video's packets. `audio`: empty for none.
  /// Throws: MediaError.
  VideoMuxer(OutputPtr muxer, const AVStream& source, const std::filesystem::path& audio, Check check);

  AVFormatContext& context() const { return *muxer_; }
  /// Writes the beginning of the container.
  void start(Dictionary& options);
  /// Adds the next packet, in the time base of `source`. Its data stays with the caller.
  void write(AVPacket& packet);
  /// Hands what was written to the byte stream, as a fragment where the container has them.
  void flush();
  /// Writes the rest of the sound and the end of the container.
  void finish();

 private:
  void write_audio(int64_t frame_ticks, bool (AudioTrack::*next)(AVPacket&, int64_t));

  OutputPtr muxer_;
  AVRational time_base_;  ///< of the packets
  Check check_;
  std::unique_ptr<AudioTrack> audio_;
  PacketPtr audio_packet_ = make_packet();
  int64_t end_ = 0;  ///< of the video so far, in ticks
};

}  // namespace flashblock
