#include "models/video_geometry.h"

#include "core/error.h"

namespace flashblock {

void VideoGeometry::validate() const {
  const int64_t unit_width = strides.width * patch.width;
  const int64_t unit_height = strides.height * patch.height;
  if (width > 0 && height > 0 && width % unit_width == 0 && height % unit_height == 0) return;
  const auto nearest = [](int64_t value, int64_t unit) {
    return std::to_string((value < unit ? unit : (value + unit / 2) / unit * unit));
  };
  throw ConfigError("size " + std::to_string(width) + "x" + std::to_string(height) +
                    " is not supported: the width must be a multiple of " + std::to_string(unit_width) +
                    " and the height of " + std::to_string(unit_height) + "; the nearest size is " +
                    nearest(width, unit_width) + "x" + nearest(height, unit_height));
}

}  // namespace flashblock
