// How stored frames and images are turned to be shown upright.
#pragma once

#include <cstdint>
#include <string_view>

namespace at {
class Tensor;
}

namespace flashblock {

/// First rows and columns are exchanged, then the result is mirrored: the eight ways to turn an image by right angles.
struct Orientation {
  bool transposed = false;
  bool mirrored_x = false;  ///< left and right exchanged
  bool mirrored_y = false;  ///< top and bottom exchanged

  bool operator==(const Orientation&) const = default;
};

/// The orientation that a value of EXIF's tag 0x0112 asks for; none for values outside 1 to 8. Source:
/// EXIF 2.32, 4.6.4.
Orientation orientation_of_exif(int value);

/// The right angles nearest to a display matrix [3, 3], which maps stored to shown places. Source: ISO/IEC 14496-12,
/// 8.3.2; FFmpeg `libavutil/display.h`.
Orientation orientation_of_matrix(const int32_t* matrix);

/// The orientation that a PNG (chunk eXIf) or JPEG (segment APP1) states. A damaged statement counts as none, as in
/// viewers.
Orientation orientation_of_image(std::string_view file);

/// Shape: rgb [H, W, 3] uint8 on the CPU; returns [H, W, 3] or [W, H, 3], contiguous.
at::Tensor turned(const at::Tensor& rgb, const Orientation& orientation);

}  // namespace flashblock
