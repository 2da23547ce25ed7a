#include <cuda_bf16.h>

#include "attention/kernels/hopper_attention.h"
#include "attention/kernels/hopper_attention_plan.h"
#include "attention/kernels/hopper_attention_quantise.h"
#include "attention/kernels/hopper_int8_softmax.cuh"
#include "attention/kernels/hopper_tiles.cuh"
#include "attention/kernels/vector8.cuh"
#include "core/kernels/hopper_steps.cuh"

// Quantisation and the order of values: note in hopper_attention_quantise.cu.
//
// A tile is kGroups times 64 queries of a head; a step is a block of keys (hopper_tiles.h). One warp loads, a warpgroup
// computes 64 queries.

namespace flashblock {
inline namespace hopper_attention_cu {

using namespace int8_attention;
namespace hopper = kernels::hopper;
namespace tiles = hopper_tiles;

[[maybe_unused]] constexpr int kStepsSummed = 16;  ///< by the matrix units, before their sums are added in fp32
constexpr int kAlignment = 1024, kBarrierBytes = 512;

/// Of a thread block, in this order: sums set aside, queries, steps in flight, barriers.
struct Shared {
  static constexpr int kStepBytes = 2 * kBlockBytes;
  static constexpr int kRows = kTileQueries, kQueryBytes = kRows * kWidth;
  static constexpr int kSumBytes = kRows * kWidth * int(sizeof(float));
  static constexpr int kInFlight =
      (hopper::kMaxShared - kAlignment - kBarrierBytes - kSumBytes - kQueryBytes) / kStepBytes;
  static constexpr int kBytes = kSumBytes + kQueryBytes + kInFlight * kStepBytes + kAlignment + kBarrierBytes;
  static_assert((2 * kInFlight + 2) * sizeof(uint64_t) <= kBarrierBytes);
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

constexpr float kLn2 = 0.6931471805599453f;

struct Barriers {
  uint64_t *full, *empty, *full_queries, *empty_queries;
};

__device__ __forceinline__ void load_parts(const Work& w, uint8_t* queries, uint8_t* steps, const Barriers& b) {
  using S = Shared;
  hopper::Slot<S::kInFlight> slot;
  tiles::Parts parts(w.tiles);
  tiles::Part part;
  for (int parity = 1; parts.next(w.tiles, part); parity ^= 1) {
    const int head = part.tile / w.tiles.per_head, row = part.tile % w.tiles.per_head * S::kRows;
    hopper::wait(b.empty_queries, parity);
    hopper::arrive_and_expect(b.full_queries, S::kQueryBytes);
    hopper::load_bytes(queries, w.q8 + (int64_t(head) * w.padded_queries + row) * kWidth, S::kQueryBytes,
                       b.full_queries);
    for (int step = part.first; step < part.last; ++step, slot.advance()) {
      hopper::wait(b.empty + slot.index, slot.parity ^ 1);
      hopper::arrive_and_expect(b.full + slot.index, S::kStepBytes);
      hopper::load_bytes(steps + slot.index * S::kStepBytes,
                         w.kv8 + (int64_t(head) * w.tiles.steps + step) * S::kStepBytes, S::kStepBytes,
                         b.full + slot.index);
    }
  }
}

/// What is added to the sums of a tile and what becomes of them.
__device__ __forceinline__ void store_tile(const Work& w, const tiles::Part& part, int first_row,
                                           const float (&sums)[64], const Rows& r) {
  const int head = part.tile / w.tiles.per_head, batch = head / w.heads, lane = threadIdx.x % 32;
  const int row = first_row + threadIdx.x % 128 / 32 * 16 + lane / 4;
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int query = row + 8 * h;
    if (query >= w.queries) continue;
    const float inverse = __fdividef(1.0f, r.sum[h]);
    __nv_bfloat16* out = w.out + ((int64_t(batch) * w.queries + query) * w.heads + head % w.heads) * kWidth;
#pragma unroll
    for (int group = 0; group < kWidth / 32; ++group) {
      const int channel = group * 32 + lane % 4 * 8;
      const Vector8 scale = load8(w.v_factors + head * kWidth + channel);
      const Vector8 mean = load8(w.v_means + head * kWidth + channel);
      Vector8 y;
#pragma unroll
      for (int j = 0; j < 4; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const float sum = sums[4 * (4 * group + j) + 2 * h + e];
          // The scale is a power of two, whose inverse is exact.
          const float back = __uint_as_float(0x7F000000u - __float_as_uint(scale.x[2 * j + e]));
          y.x[2 * j + e] = fmaf(sum * inverse, back, mean.x[2 * j + e]);
        }
      store8(out + channel, y);
    }
    if (lane % 4 == 0)
      w.lse[int64_t(head) * w.queries + query] =
          (r.base[h] + __log2f(r.sum[h])) * kLn2 + w.q_shifts[int64_t(head) * w.padded_queries + query];
  }
}

__device__ __forceinline__ void attend_parts(const Work& w, float4* set_aside, const uint8_t* queries,
                                             const uint8_t* steps, const Barriers& b, int* shared_arrivals) {
  using S = Shared;
  // What a warp has in common is taken from one lane, so that the compiler keeps it once.
  const auto common = [](auto x) { return __shfl_sync(0xffffffffu, x, 0); };
  const int group = common(int(threadIdx.x) / 128 - 1), thread = threadIdx.x % 128;
  const bool speaks = thread == 0;
  const uint64_t rows = hopper::matrix_columns_of_16_bytes(
      common(hopper::shared_address(queries)) + group * kUnitQueries * kWidth, kUnitQueries);
  const uint64_t first_keys = hopper::matrix_columns_of_16_bytes(common(hopper::shared_address(steps)), kKeys);
  const uint64_t first_values =
      hopper::matrix_columns_of_16_bytes(common(hopper::shared_address(steps)) + kBlockBytes, kWidth);
  set_aside += group * 16 * 128 + thread;
  hopper::Slot<S::kInFlight> slot;
  tiles::Parts parts(w.tiles);
  tiles::Part part;
  for (int parity = 0; parts.next(w.tiles, part); parity ^= 1) {
    const int head = part.tile / w.tiles.per_head,
              first_row = part.tile % w.tiles.per_head * S::kRows + group * kUnitQueries;
    const float* key_scales = w.k_scales + int64_t(head) * w.tiles.steps;
    Rows r;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int query = first_row + thread / 32 * 16 + thread % 32 / 4 + 8 * h;
      r.scale[h] = query < w.queries ? w.q_scales[int64_t(head) * w.padded_queries + query] : 0;
      r.base[h] = -INFINITY, r.sum[h] = 0;
    }
    int32_t scores[kKeys / 2];
    float sums[64];
    uint32_t weights[kKeys / 8];
#pragma unroll
    for (int i = 0; i < 64; ++i) sums[i] = 0;
    // Descriptors count in 16 bytes.
    const auto multiply_keys = [&](int index) {
      const uint64_t keys = first_keys + uint32_t(index * (S::kStepBytes / 16));
#pragma unroll
      for (int d = 0; d < kWidth / 16; d += 2)
        hopper::Int8Product<kKeys>::add(scores, rows + d * kUnitQueries, keys + d * kKeys, d > 0);
      hopper::commit_products();
    };
    const auto multiply_values = [&](int index) {
      const uint64_t values = first_values + uint32_t(index * (S::kStepBytes / 16));
#pragma unroll
      for (int k = 0; k < kKeys / 32; ++k)
        hopper::Float8Product<kWidth>::add(sums, weights + 4 * k, values + 2 * k * kWidth);
      hopper::commit_products();
    };

    // Sums so far: the matrix units truncate what is far below the sum that they add it to.
    int since = 0;
#pragma unroll
    for (int i = 0; i < 16; ++i) set_aside[i * 128] = make_float4(0, 0, 0, 0);
    const auto put_aside = [&] {
#pragma unroll
      for (int i = 0; i < 16; ++i) {
        const float4 aside = set_aside[i * 128];
        set_aside[i * 128] = make_float4(aside.x + sums[4 * i], aside.y + sums[4 * i + 1], aside.z + sums[4 * i + 2],
                                         aside.w + sums[4 * i + 3]);
        sums[4 * i] = sums[4 * i + 1] = sums[4 * i + 2] = sums[4 * i + 3] = 0;
      }
      since = 0;
    };
    const auto shrink = [&] {
#pragma unroll
      for (int i = 0; i < 64; ++i) sums[i] *= r.factor[i % 4 / 2];
#pragma unroll 4
      for (int i = 0; i < 16; ++i) {
        const float4 aside = set_aside[i * 128];
        set_aside[i * 128] =
            make_float4(aside.x * r.factor[0], aside.y * r.factor[0], aside.z * r.factor[1], aside.w * r.factor[1]);
      }
    };

    float key_scale = __ldg(key_scales + part.first);
    hopper::wait(b.full_queries, parity);
    hopper::wait(b.full + slot.index, slot.parity);
    hopper::begin_products();
    multiply_keys(common(slot.index));
    hopper::wait_for_products<0>();
    for (int step = part.first;;) {
      const int valid = w.keys - step * kKeys;
      hopper::wait_for_products<1>();  // the scores are there, the sums need not be
      const bool grown = valid < kKeys ? raise_base<true>(scores, r, key_scale, valid)
                                       : raise_base<false>(scores, r, key_scale, valid);
      hopper::wait_for_products<0>();
      if (step > part.first) {
        const int before = slot.index == 0 ? S::kInFlight - 1 : slot.index - 1;
        if (speaks) hopper::arrive(b.empty + before);
        if (++since == kStepsSummed) put_aside();
        if (grown) shrink();
      }
      if (valid < kKeys)
        weigh<true>(scores, weights, r, key_scale, valid);
      else
        weigh<false>(scores, weights, r, key_scale, valid);
      if (++step == part.last) break;
      key_scale = __ldg(key_scales + step);
      const int index = common(slot.index);
      slot.advance();
      hopper::wait(b.full + slot.index, slot.parity);
      hopper::begin_products();
      multiply_keys(common(slot.index));
      multiply_values(index);
    }
    if (speaks) hopper::arrive(b.empty_queries);
    hopper::begin_products();
    multiply_values(common(slot.index));
    hopper::wait_for_products<0>();
    if (speaks) hopper::arrive(b.empty + slot.index);
    slot.advance();
#pragma unroll
    for (int i = 0; i < 16; ++i) {
      const float4 aside = set_aside[i * 128];
      sums[4 * i] += aside.x, sums[4 * i + 1] += aside.y, sums[4 * i + 2] += aside.z, sums[4 * i + 3] += aside.w;
    }
    hopper_softmax::add_up(r);
    if (part.slot < 0 || tiles::merge_parts<kGroups>(w.tiles, part, group, sums, r, shared_arrivals))
      store_tile(w, part, first_row, sums, r);
  }
}

#endif

__global__ void __launch_bounds__(128 * (kGroups + 1), 1) int8_attention_kernel(const __grid_constant__ Work w) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  using S = Shared;
  extern __shared__ uint8_t shared[];
  __shared__ int shared_arrivals[kGroups];
  uint8_t* set_aside = hopper::aligned<kAlignment>(shared);
  uint8_t* queries = set_aside + S::kSumBytes;
  uint8_t* steps = queries + S::kQueryBytes;
  uint64_t* barriers = reinterpret_cast<uint64_t*>(steps + S::kInFlight * S::kStepBytes);
  const Barriers b{barriers, barriers + S::kInFlight, barriers + 2 * S::kInFlight, barriers + 2 * S::kInFlight + 1};
  if (threadIdx.x == 0) {
    hopper::init_barriers(b.full, b.empty, S::kInFlight, kGroups);
    hopper::init_barriers(b.full_queries, b.empty_queries, 1, kGroups);
    hopper::publish_barriers();
  }
  __syncthreads();
  if (threadIdx.x < 128) {
    hopper::give_registers_back<kGroups == 3 ? 32 : 40>();
    if (threadIdx.x == 0) load_parts(w, queries, steps, b);
  } else {
    hopper::take_registers<kGroups == 3 ? 160 : 232>();
    attend_parts(w, reinterpret_cast<float4*>(set_aside), queries, steps, b, shared_arrivals);
  }
#endif
}

}  // namespace hopper_attention_cu

int64_t int8_attention_workspace(const Int8AttentionArguments& a) { return plan_of(a).bytes; }

cudaError_t launch_int8_attention(const Int8AttentionArguments& a, cudaStream_t stream) {
  const Plan plan = plan_of(a);
  const cudaError_t error = launch_quantisation(plan.quantisation, stream);
  if (error != cudaSuccess) return error;
  return hopper::launch_over_tiles(int8_attention_kernel, plan.grid, plan.grid, 128 * (kGroups + 1), Shared::kBytes,
                                   stream, plan.work);
}

}  // namespace flashblock
