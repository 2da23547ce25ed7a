// Encodes one frame block as one fragment of fragmented MP4. Private to media/.
#pragma once

#include <cstdint>
#include <string>

#include "media/film_format.h"

namespace at {
class Tensor;
}

namespace flashblock {

/// A frame block as bytes.
struct EncodedPiece {
  std::string init_segment;  ///< ftyp and moov: the same for all pieces of a film
  std::string fragment;      ///< moof and mdat, with absolute time
};

/// Encodes pictures as one closed group of pictures, with an encoder of its own, so that a piece depends on nothing
/// before it. Time of picture i: (`first_frame` + i) / fps. No pictures: only the init segment. Shape: `rgb` [T, H, W,
/// 3] uint8 on the CPU, of the film's size. Throws: MediaError. The bytes depend on nothing but the arguments and the
/// versions of libx264 and libavformat.
EncodedPiece encode_piece(const FilmFormat& format, const at::Tensor& rgb, int64_t first_frame);

/// The init segment alone. Throws: MediaError.
std::string encode_init_segment(const FilmFormat& format);

}  // namespace flashblock
