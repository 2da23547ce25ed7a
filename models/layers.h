// The operators of a transformer layer, on token tensors [B, L, dim].
#pragma once

#include <ATen/core/Tensor.h>

#include "attention/rope.h"
#include "models/int8_linear.h"
#include "models/transformer_weights.h"

namespace flashblock {

/// x weight^T + bias; int8_linear of a layer with an int8 weight, whose input is quantised if it is not. In bfloat16 on
/// a GPU by the algorithm that models/product_table.txt names for it, if it does; so linear_gelu.
at::Tensor linear(const LinearInput& x, const Linear& layer);

/// GELU in its tanh form, in place.
at::Tensor gelu_(at::Tensor x);

/// gelu_(linear(x)), x of two dimensions or more.
/// Numerics: in bfloat16 on a GPU the matrix product applies GELU to its fp32 sums (cuBLASLt's epilogue GELU_BIAS, the
/// tanh form too): one rounding less than in the published model, which rounds the product first.
at::Tensor linear_gelu(const at::Tensor& x, const Linear& layer);

/// down(GELU(up(x))).
/// Numerics: in int8, up(x) is rounded to the model's dtype, as published; its GELU, in fp32, only to int8.
at::Tensor feed_forward(const LinearInput& x, const Linear& up, const Linear& down);

/// Layer norm without parameters, times `scale` (which is 1 + the modulation's scale), plus `shift`.
/// Shape: x [B, L, dim]; shift and scale [1, 1, dim], or [1, F, dim] for L / F tokens each, which takes F calls; so for
/// the functions below, with their gate.
/// The result, and that of the two functions below, is the input of linears of this precision.
/// Numerics: fp32 statistics; rounds to the dtype of x after the norm, the product and the sum; then quantise_rows, on
/// a GPU in the same pass.
LinearInput modulated_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale, double eps,
                           LinearPrecision precision = LinearPrecision::kNative);

/// x += update, then modulated_norm of the sum; on a GPU in one pass over memory.
LinearInput add_modulated_norm(at::Tensor& x, const at::Tensor& update, const at::Tensor& shift,
                               const at::Tensor& scale, double eps,
                               LinearPrecision precision = LinearPrecision::kNative);

/// add_gated_, then the layer norm of the sum with weight and bias, rounded once; on a GPU in one pass over memory.
LinearInput add_gated_affine_norm(at::Tensor& x, at::Tensor update, const at::Tensor& gate, const Linear& affine,
                                  double eps, LinearPrecision precision = LinearPrecision::kNative);

/// x / sqrt(mean(x^2) + eps) over the last dimension, all heads together, in fp32; rounded to the dtype of x, then
/// multiplied by the weight, and rounded again.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

/// The destination of one part of a joined projection.
struct ProjectionPart {
  at::Tensor out;   ///< [B, L, N, D], such as a slot of a key/value cache
  at::Tensor norm;  ///< [N * D], weight of its rms_norm, which rotation follows; undefined: the part is copied
};

/// Splits rows into equal parts, and parts into heads: rms_norm, rotation, into `out`. One launch on a GPU.
/// Shape: joined [B, L, parts * N * D], contiguous; one to three parts.
void split_projection(const at::Tensor& joined, at::ArrayRef<ProjectionPart> parts, double eps,
                      const Rotation& rotation);

/// x += update * gate, rounding the product and the sum; overwrites update.
void add_gated_(at::Tensor& x, at::Tensor update, const at::Tensor& gate);

}  // namespace flashblock
