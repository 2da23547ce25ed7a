// Products of few rows of activations with a large weight: bound by reading the weight once.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace flashblock {

/// What is stored of the product.
enum class ProductOutput {
  kRounded,  ///< [rows, columns] bf16. Requires: one slice
  kSums,     ///< [slices, rows, columns] fp32: sums over a slice of the inner dimension each, to be added
  kSwiglu,   ///< [rows, columns / 2] bf16: silu(first half) * second half, rounded as swiglu. Requires: one slice
};

/// x weight^T. x [rows, depth] and weight [columns, depth] bf16, contiguous and 16-byte aligned.
struct FewRowProduct {
  ProductOutput output;
  const void* x;
  const void* weight;
  void* out;
  int64_t rows, depth, columns;
  /// Of attention outputs: x is stored as [rows * group, kv_heads, 128], depth = kv_heads * group * 128. 0: as above.
  int64_t kv_heads = 0, group = 1;
};

inline constexpr int64_t kMostProductRows = 16;

/// Whether the current device and these sizes are supported.
bool few_row_product_takes(int64_t rows, int64_t depth, int64_t columns);

/// Slices of the inner dimension that the product is computed in.
int64_t product_slices(int64_t depth);

/// Queues the product; returns the status of the launch.
cudaError_t launch_few_row_product(const FewRowProduct& product, cudaStream_t stream);

}  // namespace flashblock
