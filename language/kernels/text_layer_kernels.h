// What stands between the products of a language model's layer, one launch each.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace flashblock {

inline constexpr int64_t kTextHeadWidth = 128;  ///< of the kernels for heads

/// sum = x + update, rounded; normed = rms norm of sum. All bf16 but `sums`, contiguous and 16-byte aligned; width a
/// multiple of 8, at most kLongestTextRow.
struct AddNormArguments {
  const void* x;       ///< [rows, width]
  const void* update;  ///< [rows, width]; null: `sums`, or nothing is added
  const float* sums;   ///< [slices, rows, width] fp32, whose sum over the slices, rounded, is the update; may be null
  const void* weight;  ///< [width]
  void* sum;           ///< [rows, width]; unused if nothing is added
  void* normed;        ///< [rows, width]
  int64_t rows, width, slices;
  float eps;
};
inline constexpr int64_t kLongestTextRow = 8192;

/// The heads of a projection: queries and keys normed and rotated, queries as grouped rows, keys and values into the
/// cache. bf16 but the angles; heads of 128.
struct TextHeadsArguments {
  const void* projected;  ///< [batch * tokens, (heads + 2 * kv_heads) * 128]
  const void* q_norm;     ///< [128]
  const void* k_norm;     ///< [128]
  const float* cosine;    ///< [tokens, 64]
  const float* sine;      ///< [tokens, 64]
  void* q;                ///< [batch, attending * heads / kv_heads, kv_heads, 128]; of the first tokens
  void* keys;             ///< [batch, tokens, kv_heads, 128], texts cache_batch_stride elements apart
  void* values;           ///< as keys
  int64_t cache_batch_stride;
  int64_t batch, tokens, attending, heads, kv_heads;
  float eps;
};

/// Rows of a table, by number: few, which go with the launch. bf16, contiguous and 16-byte aligned; width a multiple
/// of 8.
inline constexpr int64_t kMostGatheredRows = 32;
struct GatherRowsArguments {
  const void* table;  ///< [any, width]
  void* out;          ///< [rows, width]
  int64_t rows, width;
  int64_t from[kMostGatheredRows];  ///< rows of the table
};

/// silu(first half) * second half of rows, bf16. Requires: width, of the result, a multiple of 8.
struct SwigluArguments {
  const void* gate_up;  ///< [rows, 2 * width]
  void* out;            ///< [rows, width]
  int64_t rows, width;
};

/// Each queues its kernel; returns the status of the launch.
cudaError_t launch_gather_rows(const GatherRowsArguments& arguments, cudaStream_t stream);
cudaError_t launch_add_norm(const AddNormArguments& arguments, cudaStream_t stream);
cudaError_t launch_text_heads(const TextHeadsArguments& arguments, cudaStream_t stream);
cudaError_t launch_swiglu(const SwigluArguments& arguments, cudaStream_t stream);

}  // namespace flashblock
