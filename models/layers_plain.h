// The fused operators of layers.h by LibTorch's operators, one rounding each: the fallback where our kernels do not
// run, and the reference implementation that they are tested against.
#pragma once

#include <ATen/core/Tensor.h>

#include "attention/rope.h"

namespace flashblock::plain {

at::Tensor gelu_(at::Tensor x);
at::Tensor modulated_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale, double eps);
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);
void rms_norm_rope_out(at::Tensor out, const at::Tensor& x, const at::Tensor& weight, double eps,
                       const Rotation& rotation);
void add_gated_(at::Tensor& x, at::Tensor update, const at::Tensor& gate);

}  // namespace flashblock::plain
