// The CUDA side of bordered_convolution.h, on tensors. Enqueues on the current stream.
#pragma once

#include <ATen/core/Tensor.h>

#include "vae/bordered_convolution.h"

namespace flashblock::cuda {

/// Whether the device has the instructions that the kernels use (compute capability 9.0).
bool has_bordered_convolutions(at::Device device);

/// Whether a convolution replaces what is in its result, or is added to it.
enum class Target { kReplace, kAdd };

/// Weights and bias as BorderedConvolution keeps them. Shape: frames [T, H + 2, W + 2, Cin]; result [T, H, W, Cout]
/// contiguous, written by this function. With `gamma` [Cout] float32 the result is normalised and bordered, [T, H + 2,
/// W + 2, Cout].
void causal_convolution(const at::Tensor& weights, const at::Tensor& bias, const BorderedConvolution::History& history,
                        const at::Tensor& frames, const at::Tensor& result, Target target,
                        const at::Tensor& gamma = {});

/// Weights and bias as BorderedDoubling keeps them. Shape: frames [T, H + 2, W + 2, Cin]; result [T, 2H, 2W, Cout]
/// contiguous, written by this function.
void doubling_convolution(const at::Tensor& weights, const at::Tensor& bias, const at::Tensor& frames,
                          const at::Tensor& result);

}  // namespace flashblock::cuda
