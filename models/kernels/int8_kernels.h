// Linears with 8-bit integers on raw memory: the product on Hopper, and the quantisation of its input.
#pragma once

#include <cstdint>

#ifdef FLASHBLOCK_CUDA
#include <cuda_runtime_api.h>
#endif

namespace flashblock {

/// Longest row that launch_quantise_rows supports.
constexpr int64_t kLongestQuantisedRow = 18432;

/// values = round(f(x) * (127 / m)) and scale = m / 127 of a row, m being its largest |f(x)|; zeros for a row of zeros.
/// With a NaN in the row the scale is NaN.
struct QuantiseRowsArguments {
  const void* x;         ///< [rows, width] contiguous, bfloat16
  bool gelu;             ///< f is GELU in its tanh form, in fp32; else f(x) = x
  const float* factors;  ///< [width], by which f(x) is multiplied, 16-byte aligned; null: by nothing
  int8_t* values;
  float* scales;        ///< [rows]
  int64_t rows, width;  ///< width: a multiple of 8
};

/// out = (x weight^T in int32) * row scale * column scale + bias, rounded once.
struct Int8LinearArguments {
  const int8_t* x;             ///< [rows, in]
  const float* row_scales;     ///< [rows]
  const int8_t* weight;        ///< [out_columns, in]
  const float* column_scales;  ///< [out_columns]
  const void* bias;            ///< [out_columns], bfloat16
  void* out;                   ///< [rows, out_columns], bfloat16
  int64_t rows, in, out_columns;
  int multiprocessors;  ///< of the GPU
};

/// Multiples that launch_int8_linear needs.
constexpr int64_t kInt8InMultiple = 16, kInt8OutMultiple = 32;

#ifdef FLASHBLOCK_CUDA
// Pointers 16-byte aligned. Return the status of the launch.
cudaError_t launch_quantise_rows(const QuantiseRowsArguments& arguments, cudaStream_t stream);
/// Requires: compute capability 9.0.
cudaError_t launch_int8_linear(const Int8LinearArguments& arguments, cudaStream_t stream);
#endif

}  // namespace flashblock
