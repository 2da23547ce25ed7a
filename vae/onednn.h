// LibTorch's fused oneDNN convolutions, called through its dispatcher: with packed weights, and sums in place.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace flashblock::onednn {

/// Strides and zero padding of one convolution, per dimension in space (and time before it).
struct ConvArguments {
  std::vector<int64_t> padding;
  std::vector<int64_t> stride;
};

/// Whether this LibTorch and this processor support them for `dtype` (float32 or bfloat16).
bool available(at::ScalarType dtype);

/// The weight in oneDNN's preferred layout for inputs of about `input_sizes`; results are correct for all sizes.
at::Tensor pack(const at::Tensor& weight, const ConvArguments& arguments, at::IntArrayRef input_sizes);

/// Shape: input [N, C, (D,) H, W] channels last; `packed` from pack; bias undefined for none. Result channels last.
at::Tensor convolve(const at::Tensor& input, const at::Tensor& packed, const at::Tensor& bias,
                    const ConvArguments& arguments);

/// sum += convolve(...), in place and rounded once. Shape: sum as convolve's result, channels last.
void convolve_add(at::Tensor& sum, const at::Tensor& input, const at::Tensor& packed, const at::Tensor& bias,
                  const ConvArguments& arguments);

}  // namespace flashblock::onednn
