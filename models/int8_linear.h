// Linears in 8-bit integers: weights quantised per output channel when they are loaded, their input per row when it is
// computed, sums in int32. Exact but for the two quantisations; docs/numerics.md has the error.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <utility>

#include "models/transformer_weights.h"

namespace flashblock {

/// What a linear reads: rows in the model's dtype, or in 8-bit integers.
struct LinearInput {
  LinearInput(at::Tensor rows) : values(std::move(rows)) {}
  LinearInput(at::Tensor rows, at::Tensor row_scales) : values(std::move(rows)), scales(std::move(row_scales)) {}

  at::Tensor values;  ///< [..., in]
  at::Tensor scales;  ///< of int8: row r is values[r] * scales[r]. [rows] float32; else undefined
};

/// What is done to values before they are quantised.
enum class BeforeQuantising {
  kNothing,
  kGelu,  ///< GELU in its tanh form, in fp32, not rounded
};

/// Rows in 8-bit integers: round(x * (127 / m)), scale m / 127, m being the largest |x| of the row; ties to even. A row
/// with NaN gets NaN as its scale, which makes the linear's output NaN. Shape: x [..., in], contiguous; factors [in]
/// float32, which x is multiplied by first, but after `before`; undefined: by nothing.
/// Numerics: the Hopper path takes the hardware's tanh, within 2^-11; otherwise both paths give the same bits.
LinearInput quantise_rows(const at::Tensor& x, BeforeQuantising before = BeforeQuantising::kNothing,
                          const at::Tensor& factors = {});

/// The linear with its weight in int8, one scale per output channel.
Linear quantised(const Linear& layer);

/// (x weight^T in int32) * row scale * channel scale + bias, in fp32, rounded once to the dtype of the bias.
/// Shape: x int8 [..., in] with scales; result [..., out].
/// Compute capability 9.0 with bfloat16 has a kernel, whose sum of bias and product is one fused operation (last bit
/// of fp32); everything else goes through LibTorch: correct, slower than the linear in bfloat16.
at::Tensor int8_linear(const LinearInput& x, const Linear& layer);

/// Whether int8_linear is fast for a dtype, an input width and an output width on a device.
bool has_int8_linear(at::Device device, at::ScalarType dtype, int64_t in, int64_t out);

namespace plain {

/// The same by LibTorch's operators, on any device.
LinearInput quantise_rows(const at::Tensor& x, BeforeQuantising before = BeforeQuantising::kNothing,
                          const at::Tensor& factors = {});
at::Tensor int8_linear(const LinearInput& x, const Linear& layer);

}  // namespace plain
}  // namespace flashblock
