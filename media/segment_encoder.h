// Encodes one frame block as one fragment of fragmented MP4. Private to media/.
#pragma once

#include <cstdint>
#include <string>

#include "media/video_format.h"

namespace at {
class Tensor;
}

namespace flashblock {

/// A frame block as bytes.
struct EncodedSegment {
  std::string init_segment;  ///< ftyp and moov: the same for all segments of a video
  std::string fragment;      ///< moof and mdat, with absolute time
};

/// Encodes frames as one closed group of frames, with a new encoder, so that a segment does not depend on
/// earlier ones. Time of frame i: (`first_frame` + i) / fps. No frames: only the init segment.
/// Shape: `rgb` [T, H, W, 3] uint8 if takes_rgb24(format.encoding), else [T, 3, H, W] float32 in [0, 1]; on the CPU,
/// contiguous, of the video's size. Throws: MediaError. The bytes depend on nothing but the arguments and the versions
/// of the encoder and libavformat.
EncodedSegment encode_segment(const VideoFormat& format, const at::Tensor& rgb, int64_t first_frame);

/// The init segment alone. Throws: MediaError.
std::string encode_init_segment(const VideoFormat& format);

}  // namespace flashblock
