#include "media/orientation.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace flashblock {
namespace {

constexpr int kOrientationTag = 0x0112;
constexpr std::string_view kExifStart("Exif\0\0", 6);

/// Numbers of `text` in its byte order; 0 beyond its end.
struct ByteReader {
  std::string_view text;
  bool little_endian = false;

  uint32_t number(size_t at, size_t bytes) const {
    uint32_t value = 0;
    if (at > text.size() || bytes > text.size() - at) return 0;
    for (size_t i = 0; i < bytes; ++i)
      value = value << 8 | static_cast<unsigned char>(text[at + (little_endian ? bytes - 1 - i : i)]);
    return value;
  }
};

/// The tag's value in the first directory of a TIFF header. Source: TIFF 6.0, section 2.
int tiff_orientation(std::string_view tiff) {
  if (!tiff.starts_with("II") && !tiff.starts_with("MM")) return 0;
  const ByteReader reader{tiff, tiff.front() == 'I'};
  const size_t directory = reader.number(4, 4), entries = reader.number(directory, 2);
  for (size_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + 12 * i;
    if (entry >= tiff.size()) return 0;
    if (reader.number(entry, 2) == kOrientationTag) return static_cast<int>(reader.number(entry + 8, 2));
  }
  return 0;
}

int exif_orientation(std::string_view exif) {
  if (exif.starts_with(kExifStart)) exif.remove_prefix(kExifStart.size());
  return tiff_orientation(exif);
}

/// Source: PNG specification, third edition, 5.3 and 11.3.4.5. A chunk: length, type, data, checksum.
int png_orientation(std::string_view file) {
  const ByteReader reader{file};
  for (size_t at = 8; at + 8 <= file.size(); at += 12 + size_t{reader.number(at, 4)}) {
    const std::string_view type = file.substr(at + 4, 4);
    if (type == "eXIf") return exif_orientation(file.substr(at + 8, reader.number(at, 4)));
  }
  return 0;
}

/// Source: ITU-T T.81, B.1.1: segments that begin with FF, a marker and their length, until the scan (DA).
int jpeg_orientation(std::string_view file) {
  const ByteReader reader{file};
  for (size_t at = 2; reader.number(at, 1) == 0xFF;) {
    const uint32_t marker = reader.number(at + 1, 1), length = reader.number(at + 2, 2);
    if (marker == 0xFF) {  // a fill byte
      ++at;
      continue;
    }
    if (marker == 0xDA || length < 2) return 0;
    const std::string_view segment = file.substr(std::min(at + 4, file.size()), length - 2);
    if (marker == 0xE1 && segment.starts_with(kExifStart)) return exif_orientation(segment);
    at += 2 + size_t{length};
  }
  return 0;
}

}  // namespace

Orientation orientation_of_exif(int value) {
  constexpr Orientation kOrientations[] = {{false, false, false}, {false, true, false}, {false, true, true},
                                           {false, false, true},  {true, false, false}, {true, true, false},
                                           {true, true, true},    {true, false, true}};
  return value < 1 || value > 8 ? Orientation() : kOrientations[value - 1];
}

Orientation orientation_of_matrix(const int32_t* matrix) {
  // x' = a x + c y, y' = b x + d y for the matrix {a, b, u, c, d, v, ...}.
  const int64_t a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];
  if (std::abs(a) + std::abs(d) >= std::abs(b) + std::abs(c)) return {false, a < 0, d < 0};
  return {true, c < 0, b < 0};
}

Orientation orientation_of_image(std::string_view file) {
  return orientation_of_exif(file.starts_with("\x89PNG") ? png_orientation(file) : jpeg_orientation(file));
}

at::Tensor turned(const at::Tensor& rgb, const Orientation& orientation) {
  at::Tensor result = orientation.transposed ? rgb.transpose(0, 1) : rgb;
  std::vector<int64_t> mirrored;
  if (orientation.mirrored_y) mirrored.push_back(0);
  if (orientation.mirrored_x) mirrored.push_back(1);
  if (!mirrored.empty()) result = result.flip(mirrored);
  return result.contiguous();
}

}  // namespace flashblock
