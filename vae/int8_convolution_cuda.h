// The CUDA side of int8_convolution.h, on tensors. Enqueues on the current stream.
#pragma once

#include <ATen/core/Tensor.h>

#include "vae/int8_convolution.h"

namespace flashblock::cuda {

/// Whether the device has the instructions that the kernels use (compute capability 9.0).
bool has_int8_convolutions(at::Device device);

/// Planes of SiLU(RMS(x)). Shape: x [T, H, W, C] bfloat16, C a multiple of 96.
at::Tensor quantised_norm(const at::Tensor& x, const Int8Rounding& rounding);

/// Weights, scales and bias as Int8Convolution keeps them, and its input in planes.
struct Int8Operands {
  const at::Tensor &weights, &scales, &bias;
  const Int8Convolution::History& history;
  const at::Tensor& frames;
};

/// Whether a convolution replaces what is in its result, or is added to it.
enum class Int8Target { kReplace, kAdd };

/// Shape: result [T, H, W, Cout] bfloat16 contiguous, written by this function.
void int8_convolution(const Int8Operands& operands, const at::Tensor& result, Int8Target target);

/// The result normalised and rounded. Shape: planes [T, Cout / 16, H + 2, W + 2, 16].
at::Tensor int8_convolution_quantised(const Int8Operands& operands, const Int8Rounding& rounding);

}  // namespace flashblock::cuda
