// Fused element-wise operators of a transformer layer on raw memory; CPU and CUDA kernels share the arguments.
// Every intermediate that is a tensor in the published model is rounded to the element type.
#pragma once

#include <cstdint>

#include "attention/kernels/element.h"

#ifdef FLASHBLOCK_CUDA
#include <cuda_runtime_api.h>
#endif

namespace flashblock {

/// Longest supported row.
constexpr int64_t kLongestRow = 8192;

/// RMS norm over a row, times a weight, then optionally the rotation of adjacent pairs, head by head.
/// Row r is token r % tokens of batch r / tokens.
struct NormRopeArguments {
  Element element;
  const void* x;  ///< rows of `width`, x_row_stride elements apart
  int64_t x_row_stride;
  const void* weight;   ///< [width]; null, on the GPU only: rows are copied
  const float* cosine;  ///< [tokens, head_dim / 2], or null: no rotation
  const float* sine;
  void* out;  ///< rows of `width`; strides in elements
  int64_t out_batch_stride, out_token_stride;
  int64_t batch, tokens, width, head_dim;
  float eps;
};

/// Up to three tensors with equal numbers and widths of rows, such as the parts of a joined projection.
struct NormRopeParts {
  NormRopeArguments part[3];
  int count;
};

/// x += update * gate.
struct GatedSumArguments {
  Element element;
  void* x;             ///< [rows, width] contiguous
  const void* update;  ///< likewise
  const void* gate;    ///< [width]
  int64_t rows, width;
};

/// What precedes and what follows a layer norm without parameters. The CPU kernel supports the first form only.
enum class NormForm {
  kModulated,       ///< norm(x) * scale + shift, rounded three times
  kAddedModulated,  ///< x += update first
  kGatedAffine,     ///< x += update * gate first, the product rounded; norm(x) * scale + shift is rounded once
};

struct RowNormArguments {
  NormForm form;
  Element element;
  void* x;             ///< [rows, width] contiguous; written if something is added
  const void* update;  ///< likewise; null if none is added
  const void* gate;    ///< [width], or null
  const void* scale;   ///< [width]
  const void* shift;   ///< [width]
  void* out;           ///< [rows, width] contiguous; null: on the GPU, the rows are quantised (int8_kernels.h)
  int64_t rows, width;
  float eps;
  int8_t* values = nullptr;  ///< [rows, width] contiguous, of quantised rows
  float* scales = nullptr;   ///< [rows], likewise
};

/// GELU in its tanh form, in place.
struct GeluArguments {
  Element element;
  void* x;
  int64_t count;
};

// On the CPU: rows, or elements, [begin, end). They are independent, so threads can share them.
void norm_rope_rows(const NormRopeArguments& arguments, int64_t begin, int64_t end);
void modulated_norm_rows(const RowNormArguments& arguments, int64_t begin, int64_t end);
void gated_sum_rows(const GatedSumArguments& arguments, int64_t begin, int64_t end);
void gelu_elements(const GeluArguments& arguments, int64_t begin, int64_t end);

#ifdef FLASHBLOCK_CUDA
// On the GPU: width and all strides multiples of 8, pointers 16-byte aligned. Return the status of the launch.
cudaError_t launch_norm_rope(const NormRopeParts& arguments, cudaStream_t stream);
cudaError_t launch_row_norm(const RowNormArguments& arguments, cudaStream_t stream);
cudaError_t launch_gated_sum(const GatedSumArguments& arguments, cudaStream_t stream);
#endif

}  // namespace flashblock
