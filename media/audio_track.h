// The sound of a video, from a file: decoded, resampled, cut or padded, and encoded.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

struct AVCodecContext;
struct AVPacket;

namespace flashblock {

/// Throws: MediaError if the file has no sound that this build of FFmpeg decodes.
void check_audio_file(const std::filesystem::path& file);

/// Encodes a file's first audio stream from its beginning, in stereo, as much of it as is asked for. Silence follows
/// the end of the file.
class AudioTrack {
 public:
  enum class Codec {
    kAac,  ///< 192 kbit/s. The encoder's delay is cut off, so that sound begins at time 0: 21 ms of it fade in
    kPcm,  ///< 16 bits, without loss
    kFlac,
  };
  static constexpr int kSampleRate = 48000;  ///< samples per second, the unit of all times here

  /// Throws: MediaError.
  AudioTrack(const std::filesystem::path& file, Codec codec);
  ~AudioTrack();
  AudioTrack(const AudioTrack&) = delete;
  AudioTrack& operator=(const AudioTrack&) = delete;

  /// Opened, with a global header; its time base is one sample.
  const AVCodecContext& encoder() const;

  /// The next packet that needs no sample from `end` on; false if there is none yet. Throws: MediaError.
  bool next(AVPacket& packet, int64_t end);
  /// The next packet of a track that has exactly `length` samples; false after the last one. Throws: MediaError.
  bool next_to_the_end(AVPacket& packet, int64_t length);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace flashblock
