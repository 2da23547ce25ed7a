// Attention in bfloat16 on raw memory, for Hopper.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace flashblock {

constexpr int64_t kBf16AttentionWidth = 128;  ///< of a head

/// Attention of bfloat16 queries to bfloat16 keys and values.
struct Bf16AttentionArguments {
  /// [batch, tokens, heads, kBf16AttentionWidth]: 16-byte aligned; strides in elements, multiples of 8, that of the
  /// last dimension is 1.
  struct Input {
    const void* data;
    int64_t batch_stride, token_stride, head_stride;
  };
  Input q, k, v;
  void* out;        ///< [batch, queries, heads, kBf16AttentionWidth] bfloat16, contiguous
  float* lse;       ///< [batch, heads, queries]
  void* workspace;  ///< bf16_attention_workspace bytes, 256-byte aligned
  int64_t batch, heads, queries, keys;
  int multiprocessors;  ///< of the GPU
};

/// Bytes of the workspace, for the arguments' sizes.
int64_t bf16_attention_workspace(const Bf16AttentionArguments& arguments);

/// Queues the kernel; returns the status of the launch. Requires: compute capability 9.0; batch * heads times queries
/// or keys below 2^30.
cudaError_t launch_bf16_attention(const Bf16AttentionArguments& arguments, cudaStream_t stream);

}  // namespace flashblock
