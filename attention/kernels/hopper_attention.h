// Attention with 8-bit products on raw memory, for Hopper.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace flashblock {

constexpr int64_t kInt8AttentionWidth = 128;  ///< of a head

/// In elements, multiples of 8. The last dimension is contiguous.
struct Int8AttentionStrides {
  int64_t batch, token, head;
};

/// Attention of bfloat16 queries to bfloat16 keys and values. Pointers are 16-byte aligned.
struct Int8AttentionArguments {
  const void *q, *k, *v;
  Int8AttentionStrides q_strides, k_strides, v_strides;
  void* out;        ///< [batch, queries, heads, kInt8AttentionWidth] bfloat16, contiguous
  float* lse;       ///< [batch, heads, queries]
  void* workspace;  ///< int8_attention_workspace bytes, 256-byte aligned
  int64_t batch, heads, queries, keys;
  int multiprocessors;  ///< of the GPU
};

/// The constants per head are means over at most so many keys, evenly spaced.
constexpr int64_t kSampledKeys = 1024;

/// Bytes of the workspace, for the arguments' sizes.
int64_t int8_attention_workspace(const Int8AttentionArguments& arguments);

/// Queues the kernels; returns the status of the launch. Requires: compute capability 9.0; batch * heads < 2^15, and
/// batch * heads times queries or keys, each rounded up to a multiple of 256, below 2^31.
cudaError_t launch_int8_attention(const Int8AttentionArguments& arguments, cudaStream_t stream);

}  // namespace flashblock
