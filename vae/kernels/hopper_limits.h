// Widths that the kernels of hopper_convolution.h support.
#pragma once

#include <cstdint>

namespace flashblock::kernels {

constexpr int64_t kInChannelsMultiple = 32, kOutChannelsMultiple = 96;

}  // namespace flashblock::kernels
