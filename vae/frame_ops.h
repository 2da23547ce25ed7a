// Passes over frames between the convolutions: norm and activation in one pass, biases, residual sums, sub-pixel
// shuffles. Frames are [T, H, W, C] contiguous, float32 or bfloat16 (note "Frames" in feature_cache.h). Arithmetic is
// float32, rounded once at the end; biases and gamma are float32. One pass over memory each: a loop over
// positions on CPU, a kernel on CUDA.
#pragma once

#include <ATen/core/Tensor.h>

#include "vae/convolution.h"

namespace flashblock {

enum class Activation { kNone, kSilu };

/// out = activation(RMS(x)), x = frames + bias, RMS(x) = x / max(||x||_2, 1e-12) * sqrt(C) * gamma over the channels of
/// a position. Shape: gamma [C] float32; out [T, H, W, C] contiguous, such as the last T frames of a causal window.
/// Source: Self-Forcing `wan/modules/vae.py`, RMS_norm; the reference rounds to its dtype after each operation, this
/// function only at the end.
void rms_norm(const BiasedFrames& frames, const at::Tensor& gamma, Activation activation, at::Tensor out);

/// The same, with a border of zeros around each frame. Shape: result [T, H + 2, W + 2, C].
at::Tensor rms_norm_bordered(const BiasedFrames& frames, const at::Tensor& gamma, Activation activation);

/// The frames + bias, each split into `frames_per_frame` frames by channels, with a border of zeros around each.
/// Shape: frames [T, H, W, n C]; result [n T, H + 2, W + 2, C].
at::Tensor add_border(const BiasedFrames& frames, int64_t frames_per_frame = 1);

/// frames += bias, in place.
void add_bias(at::Tensor& frames, const at::Tensor& bias);

/// sum += addend + its bias, in place.
void add_biased(at::Tensor& sum, const BiasedFrames& addend);

/// Interleaves the four phases of a doubled frame: result[t, 2i + a, 2j + b] = phases[t, i + a, j + b, a, b] +
/// bias. Shape: phases.frames [T, H + 1, W + 1, 2 * 2 * C], its bias [2 * 2 * C]; result [T, 2H, 2W, C].
at::Tensor interleave_phases(const BiasedFrames& phases);

/// Reference implementations with LibTorch operators only, on any device, which tests compare the fast paths with.
namespace reference {
at::Tensor rms_norm(const BiasedFrames& frames, const at::Tensor& gamma, Activation activation);
at::Tensor rms_norm_bordered(const BiasedFrames& frames, const at::Tensor& gamma, Activation activation);
at::Tensor add_border(const BiasedFrames& frames, int64_t frames_per_frame);
at::Tensor interleave_phases(const BiasedFrames& phases);
}  // namespace reference

}  // namespace flashblock
