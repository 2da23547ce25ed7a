// The CUDA implementations of frame_ops.h, on tensors. Enqueue on the current stream. Callers check the arguments.
#pragma once

#include <ATen/core/Tensor.h>

#include "vae/frame_ops.h"

namespace flashblock::cuda {

void rms_norm(const BiasedFrames& frames, const at::Tensor& gamma, Activation activation, const at::Tensor& out);

at::Tensor rms_norm_bordered(const BiasedFrames& frames, const at::Tensor& gamma, Activation activation);

at::Tensor add_border(const BiasedFrames& frames, int64_t frames_per_frame);

void add_biased(const at::Tensor& sum, const BiasedFrames& addend);

at::Tensor interleave_phases(const BiasedFrames& phases);

/// Frames from the contributions of every position to every tap of a 3x3x3 convolution to three colours.
/// Shape: contributions [27 * 3, (T + 2) * H * W], row tap * 3 + colour; bias [3] float32; result [T, 3, H, W] float32.
at::Tensor gather_taps(const at::Tensor& contributions, const at::Tensor& bias, at::IntArrayRef result_sizes);

}  // namespace flashblock::cuda
