// Patches of 2x2 pixels as planes at half the size, and back.
#pragma once

#include <ATen/core/Tensor.h>

#include "weights/vae_layout.h"

namespace flashblock {

/// Pixels of planes. Plane colour * 4 + the place in its patch, as `order` says.
/// Shape: planes [T, 4 C, H, W] to [T, C, 2H, 2W] contiguous.
at::Tensor pixels_of_planes(const at::Tensor& planes, PlaneOrder order);

/// The inverse, in the layout of frames. Shape: frames [T, 2H, 2W, C] to [T, H, W, 4 C] contiguous.
at::Tensor planes_of_frames(const at::Tensor& frames, PlaneOrder order);

}  // namespace flashblock
