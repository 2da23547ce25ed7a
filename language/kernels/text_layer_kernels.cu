#include <cuda_bf16.h>

#include <cstring>

#include "core/kernels/dependent_launch.cuh"
#include "core/kernels/tensor_core.cuh"
#include "language/kernels/text_layer_kernels.h"

namespace flashblock {
inline namespace text_layer_kernels_cu {

using namespace kernels;

__device__ inline float2 unpacked(uint32_t bits) {
  __nv_bfloat162 pair;
  memcpy(&pair, &bits, sizeof bits);
  return __bfloat1622float2(pair);
}

__device__ inline float rounded(float x) { return __bfloat162float(__float2bfloat16_rn(x)); }

struct EightFloats {
  float x[8];
};

__device__ inline EightFloats load_eight(const void* from, int64_t at) {
  const uint4 raw = *reinterpret_cast<const uint4*>(static_cast<const __nv_bfloat16*>(from) + at);
  const float2 a = unpacked(raw.x), b = unpacked(raw.y), c = unpacked(raw.z), d = unpacked(raw.w);
  return {{a.x, a.y, b.x, b.y, c.x, c.y, d.x, d.y}};
}

__device__ inline void store_eight(void* to, int64_t at, const EightFloats& v) {
  *reinterpret_cast<uint4*>(static_cast<__nv_bfloat16*>(to) + at) =
      make_uint4(packed_bfloat16(v.x[0], v.x[1]), packed_bfloat16(v.x[2], v.x[3]), packed_bfloat16(v.x[4], v.x[5]),
                 packed_bfloat16(v.x[6], v.x[7]));
}

__device__ inline float warp_sum(float x) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) x += __shfl_xor_sync(0xffffffffu, x, offset);
  return x;
}

constexpr int kNormThreads = 512;
constexpr int kNormVectors = int(kLongestTextRow) / (8 * kNormThreads);

__device__ inline float block_sum(float x) {
  __shared__ float of_warp[kNormThreads / 32];
  x = warp_sum(x);
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = x;
  __syncthreads();
  return warp_sum(threadIdx.x % 32 < kNormThreads / 32 ? of_warp[threadIdx.x % 32] : 0.0f);
}

// One thread block a row.
__global__ void __launch_bounds__(kNormThreads) add_norm_kernel(const __grid_constant__ AddNormArguments a) {
  const int width = int(a.width);
  const int64_t row = int64_t(blockIdx.x) * width;
  EightFloats v[kNormVectors], weight[kNormVectors];
  const auto for_vectors = [&](auto f) {
#pragma unroll
    for (int i = 0; i < kNormVectors; ++i) {
      const int column = 8 * (i * kNormThreads + int(threadIdx.x));
      if (column < width) f(i, column);
    }
  };
  for_vectors([&](int i, int column) { weight[i] = load_eight(a.weight, column); });
  allow_next_kernel();
  wait_for_kernels_in_front();
  for_vectors([&](int i, int column) { v[i] = load_eight(a.x, row + column); });
  if (a.update || a.sums) {
    for_vectors([&](int i, int column) {
      EightFloats update{};
      if (a.update) {
        update = load_eight(a.update, row + column);
      } else {
        for (int64_t slice = 0; slice < a.slices; ++slice) {
          const auto* part = reinterpret_cast<const float4*>(a.sums + slice * a.rows * width + row + column);
          const float4 low = part[0], high = part[1];
          const float x[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
          for (int j = 0; j < 8; ++j) update.x[j] += x[j];
        }
      }
#pragma unroll
      for (int j = 0; j < 8; ++j) v[i].x[j] = rounded(v[i].x[j] + rounded(update.x[j]));
      store_eight(a.sum, row + column, v[i]);
    });
  }
  float squares = 0;
  for_vectors([&](int i, int) {
#pragma unroll
    for (int j = 0; j < 8; ++j) squares += v[i].x[j] * v[i].x[j];
  });
  const float scale = rsqrtf(block_sum(squares) / float(width) + a.eps);
  for_vectors([&](int i, int column) {
#pragma unroll
    for (int j = 0; j < 8; ++j) v[i].x[j] = v[i].x[j] * scale * weight[i].x[j];
    store_eight(a.normed, row + column, v[i]);
  });
}

constexpr int kGatherThreads = 256;

// One thread block a row.
__global__ void __launch_bounds__(kGatherThreads) gather_rows_kernel(const __grid_constant__ GatherRowsArguments a) {
  const int64_t vectors = a.width / 8, row = blockIdx.x;
  const auto* from = static_cast<const uint4*>(a.table) + a.from[row] * vectors;
  auto* to = static_cast<uint4*>(a.out) + row * vectors;
  allow_next_kernel();
  wait_for_kernels_in_front();
  for (int64_t vector = threadIdx.x; vector < vectors; vector += kGatherThreads) to[vector] = from[vector];
}

constexpr int kHeadThreads = 256;

// One warp a head of a token: lane l has elements 2 l, 2 l + 1, and those 64 further on.
__global__ void __launch_bounds__(kHeadThreads) text_heads_kernel(const __grid_constant__ TextHeadsArguments a) {
  const int heads = int(a.heads), kv_heads = int(a.kv_heads), all = heads + 2 * kv_heads;
  const int unit = int(blockIdx.x * kHeadThreads + threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  const int row = unit / all, head = unit % all;
  allow_next_kernel();
  wait_for_kernels_in_front();
  if (row >= int(a.batch * a.tokens)) return;
  const int batch = row / int(a.tokens), token = row % int(a.tokens);
  const bool is_query = head < heads, is_key = !is_query && head < heads + kv_heads;
  if (is_query && token >= int(a.attending)) return;

  const auto* from = static_cast<const uint32_t*>(a.projected) + (int64_t(row) * all + head) * 64;
  uint32_t low = from[lane], high = from[lane + 32];
  if (is_query || is_key) {
    float2 x = unpacked(low), y = unpacked(high);
    const auto* norm = static_cast<const uint32_t*>(is_query ? a.q_norm : a.k_norm);
    const float2 weight_x = unpacked(norm[lane]), weight_y = unpacked(norm[lane + 32]);
    const float2 cosine = reinterpret_cast<const float2*>(a.cosine)[token * 32 + lane];
    const float2 sine = reinterpret_cast<const float2*>(a.sine)[token * 32 + lane];
    const float squares = warp_sum(x.x * x.x + x.y * x.y + y.x * y.x + y.y * y.y);
    const float scale = rsqrtf(squares / 128.0f + a.eps);
    x = make_float2(rounded(x.x * scale * weight_x.x), rounded(x.y * scale * weight_x.y));
    y = make_float2(rounded(y.x * scale * weight_y.x), rounded(y.y * scale * weight_y.y));
    low = packed_bfloat16(x.x * cosine.x - y.x * sine.x, x.y * cosine.y - y.y * sine.y);
    high = packed_bfloat16(y.x * cosine.x + x.x * sine.x, y.y * cosine.y + x.y * sine.y);
  }
  uint32_t* to;
  if (is_query) {
    const int group = heads / kv_heads, kv_head = head / group;
    const int64_t grouped = (int64_t(batch) * a.attending + token) * group + head % group;
    to = static_cast<uint32_t*>(a.q) + (grouped * kv_heads + kv_head) * 64;
  } else {
    const int kv_head = (head - heads) % kv_heads;
    to = static_cast<uint32_t*>(is_key ? a.keys : a.values) + batch * a.cache_batch_stride / 2 +
         (int64_t(token) * kv_heads + kv_head) * 64;
  }
  to[lane] = low;
  to[lane + 32] = high;
}

constexpr int kSwigluThreads = 256;

__global__ void __launch_bounds__(kSwigluThreads) swiglu_kernel(SwigluArguments a) {
  const int64_t vector = int64_t(blockIdx.x) * kSwigluThreads + threadIdx.x, per_row = a.width / 8;
  allow_next_kernel();
  wait_for_kernels_in_front();
  if (vector >= a.rows * per_row) return;
  const int64_t row = vector / per_row, column = vector % per_row * 8;
  const EightFloats gate = load_eight(a.gate_up, row * 2 * a.width + column);
  const EightFloats up = load_eight(a.gate_up, row * 2 * a.width + a.width + column);
  EightFloats result;
#pragma unroll
  for (int j = 0; j < 8; ++j) result.x[j] = rounded(gate.x[j] / (1.0f + expf(-gate.x[j]))) * up.x[j];
  store_eight(a.out, row * a.width + column, result);
}

unsigned blocks_for(int64_t threads, int per_block) {
  return static_cast<unsigned>((threads + per_block - 1) / per_block);
}

}  // namespace text_layer_kernels_cu

cudaError_t launch_add_norm(const AddNormArguments& a, cudaStream_t stream) {
  return launch_dependent(add_norm_kernel, dim3(static_cast<unsigned>(a.rows)), kNormThreads, 0, stream, a);
}

cudaError_t launch_gather_rows(const GatherRowsArguments& a, cudaStream_t stream) {
  return launch_dependent(gather_rows_kernel, dim3(static_cast<unsigned>(a.rows)), kGatherThreads, 0, stream, a);
}

cudaError_t launch_text_heads(const TextHeadsArguments& a, cudaStream_t stream) {
  const int64_t warps = a.batch * a.tokens * (a.heads + 2 * a.kv_heads);
  return launch_dependent(text_heads_kernel, dim3(blocks_for(32 * warps, kHeadThreads)), kHeadThreads, 0, stream, a);
}

cudaError_t launch_swiglu(const SwigluArguments& a, cudaStream_t stream) {
  return launch_dependent(swiglu_kernel, dim3(blocks_for(a.rows * a.width / 8, kSwigluThreads)), kSwigluThreads, 0,
                          stream, a);
}

}  // namespace flashblock
