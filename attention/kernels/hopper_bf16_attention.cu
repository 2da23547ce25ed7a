#include <cuda_bf16.h>

#include <cmath>

#include "attention/kernels/hopper_bf16_attention.h"
#include "attention/kernels/hopper_tiles.cuh"
#include "core/kernels/hopper_steps.cuh"

// A tile is kGroups times 64 queries of a head; a step is kKeys keys and their values (hopper_tiles.h). One warp loads;
// each warpgroup multiplies 64 queries with the keys of a step while it multiplies the weights of the step before with
// their values, and takes exponentials while the other warpgroup multiplies (Shah et al. 2024, FlashAttention-3,
// arXiv 2407.08608). The base of exponents grows seldom (hopper_softmax.cuh), so that sums are seldom rescaled.

namespace flashblock {
inline namespace hopper_bf16_attention_cu {

namespace hopper = kernels::hopper;
namespace tiles = hopper_tiles;
using tiles::kUnitQueries, tiles::kWidth;

constexpr int kGroups = 2, kKeys = 176;
constexpr int kTileQueries = kGroups * kUnitQueries;
constexpr int kHalf = kWidth / 2;
[[maybe_unused]] constexpr int kHalfBytes = kHalf * 2;  ///< a row of 128 bytes is half of a head's channels

/// Of a thread block, in this order: queries, keys in flight, values in flight, barriers. Each of them has two halves
/// of the channels, one after the other.
struct Bf16Shared {
  static constexpr int kAlignment = 1024, kBarrierBytes = 256, kInFlight = 2;
  static constexpr int kQueryBytes = kTileQueries * kWidth * 2, kBlockBytes = kKeys * kWidth * 2;
  static constexpr int kBytes = kQueryBytes + 2 * kInFlight * kBlockBytes + kAlignment + kBarrierBytes;
  static_assert(kBytes <= hopper::kMaxShared && kKeys % 16 == 0 && kBlockBytes / 2 % 1024 == 0);
};

struct Bf16Maps {
  CUtensorMap q, k, v;
};

struct Bf16Work {
  tiles::Tiles tiles;
  int heads, queries, keys;
  float scale;  ///< of scores, with that of base 2
  __nv_bfloat16* out;
  float* lse;
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

constexpr float kLn2 = 0.6931471805599453f;

struct Bf16Barriers {
  uint64_t *full_queries, *empty_queries, *full_keys, *empty_keys, *full_values, *empty_values;
};

/// Two halves of the channels of a head's tokens from `row` on; tokens behind the last one are zeros.
__device__ __forceinline__ void load_tokens(uint8_t* target, int bytes, const CUtensorMap* map, int row, int head,
                                            int batch, uint64_t* full) {
  hopper::arrive_and_expect(full, bytes);
  hopper::load_box(target, map, 0, row, head, batch, full);
  hopper::load_box(target + bytes / 2, map, kHalf, row, head, batch, full);
}

__device__ __forceinline__ void load_parts(const Bf16Maps& maps, const Bf16Work& w, uint8_t* queries, uint8_t* keys,
                                           uint8_t* values, const Bf16Barriers& b) {
  using S = Bf16Shared;
  hopper::Slot<S::kInFlight> key_slot{.parity = 1}, value_slot{.parity = 1};
  tiles::Parts parts(w.tiles);
  tiles::Part part;
  for (int parity = 1; parts.next(w.tiles, part); parity ^= 1) {
    const int all_heads = part.tile / w.tiles.per_head, head = all_heads % w.heads, batch = all_heads / w.heads;
    const auto load_block = [&](uint8_t* memory, hopper::Slot<S::kInFlight>& slot, const CUtensorMap& map, int step,
                                uint64_t* full, uint64_t* empty) {
      hopper::wait(empty + slot.index, slot.parity);
      load_tokens(memory + slot.index * S::kBlockBytes, S::kBlockBytes, &map, step * kKeys, head, batch,
                  full + slot.index);
      slot.advance();
    };
    hopper::wait(b.empty_queries, parity);
    load_tokens(queries, S::kQueryBytes, &maps.q, part.tile % w.tiles.per_head * kTileQueries, head, batch,
                b.full_queries);
    for (int step = part.first; step <= part.last; ++step) {
      if (step < part.last) load_block(keys, key_slot, maps.k, step, b.full_keys, b.empty_keys);
      if (step > part.first) load_block(values, value_slot, maps.v, step - 1, b.full_values, b.empty_values);
    }
  }
}

/// Scores become weights, which are added up; `valid` keys of a block are there, the others have none.
template <bool kMasked>
__device__ __forceinline__ bool weigh(float (&scores)[kKeys / 2], hopper_softmax::Rows& r, int valid) {
  valid -= threadIdx.x % 4 * 2;
  const auto is_there = [&](int i) { return i / 4 * 8 + i % 2 < valid; };
  float high[2] = {-INFINITY, -INFINITY};
#pragma unroll
  for (int i = 0; i < kKeys / 2; ++i) {
    if (kMasked && !is_there(i)) scores[i] = -INFINITY;
    high[i / 2 % 2] = fmaxf(high[i / 2 % 2], scores[i]);
  }
  high[0] *= r.scale[0], high[1] *= r.scale[1];
  const bool grown = hopper_softmax::grow_base(r, high);
  float sum[2][2] = {{0, 0}, {0, 0}};
#pragma unroll
  for (int i = 0; i < kKeys / 2; ++i) {
    const int h = i / 2 % 2;
    scores[i] = hopper_softmax::power_of_two(fmaf(scores[i], r.scale[h], -r.base[h]));
    sum[h][i % 2] += scores[i];
  }
  r.sum[0] += sum[0][0] + sum[0][1], r.sum[1] += sum[1][0] + sum[1][1];
  return grown;
}

/// In the order of the product with values.
__device__ __forceinline__ void round_weights(const float (&scores)[kKeys / 2], uint32_t (&weights)[kKeys / 4]) {
#pragma unroll
  for (int i = 0; i < kKeys / 4; ++i) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(scores[2 * i], scores[2 * i + 1]);
    weights[i] = *reinterpret_cast<const uint32_t*>(&pair);
  }
}

/// Rows of the output in pieces of 16 bytes: the four lanes that have a row exchange pairs of channels.
__device__ __forceinline__ void store_tile(const Bf16Work& w, const tiles::Part& part, int first_row,
                                           const float (&sums)[64], const hopper_softmax::Rows& r) {
  const int all_heads = part.tile / w.tiles.per_head, batch = all_heads / w.heads, head = all_heads % w.heads;
  const int lane = threadIdx.x % 32, quarter = lane % 4;
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int query = first_row + threadIdx.x % 128 / 32 * 16 + lane / 4 + 8 * h;
    const float inverse = __fdividef(1.0f, r.sum[h]);
    __nv_bfloat16* out = w.out + ((int64_t(batch) * w.queries + query) * w.heads + head) * kWidth;
#pragma unroll
    for (int group = 0; group < 4; ++group) {  // of 32 channels: this lane stores those from 8 quarter on
      uint32_t own[4], row[4];
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const float* pair = sums + 4 * (4 * group + j) + 2 * h;
        const __nv_bfloat162 rounded = __floats2bfloat162_rn(pair[0] * inverse, pair[1] * inverse);
        own[j] = *reinterpret_cast<const uint32_t*>(&rounded);
      }
      const auto pick = [](const uint32_t(&of)[4], int i) {
        const uint32_t low = i % 2 == 0 ? of[0] : of[1], high = i % 2 == 0 ? of[2] : of[3];
        return i < 2 ? low : high;
      };
      uint32_t got[4];
#pragma unroll
      for (int other = 0; other < 4; ++other)  // from lane quarter ^ other, what it has of this lane's channels
        got[other] = __shfl_xor_sync(0xffffffffu, pick(own, quarter ^ other), other);
#pragma unroll
      for (int i = 0; i < 4; ++i) row[i] = pick(got, quarter ^ i);
      if (query < w.queries)
        *reinterpret_cast<uint4*>(out + group * 32 + quarter * 8) = make_uint4(row[0], row[1], row[2], row[3]);
    }
    if (quarter == 0 && query < w.queries)
      w.lse[int64_t(all_heads) * w.queries + query] = (r.base[h] + __log2f(r.sum[h])) * kLn2;
  }
}

/// The warpgroups take turns in queueing products: each waits here for the other to have queued its own.
constexpr int kFirstTurn = 1 + kGroups;  ///< number of a barrier; those before are sync_group's
__device__ __forceinline__ void wait_for_turn(int group) {
  asm volatile("bar.sync %0, %1;" ::"r"(kFirstTurn + group), "n"(128 * kGroups) : "memory");
}
__device__ __forceinline__ void pass_turn_to(int group) {
  asm volatile("bar.arrive %0, %1;" ::"r"(kFirstTurn + group), "n"(128 * kGroups) : "memory");
}

__device__ __forceinline__ void attend_parts(const Bf16Work& w, const uint8_t* queries, const uint8_t* keys,
                                             const uint8_t* values, const Bf16Barriers& b, int* shared_arrivals) {
  using S = Bf16Shared;
  // What a warp has in common is taken from one lane, so that the compiler keeps it once.
  const auto common = [](auto x) { return __shfl_sync(0xffffffffu, x, 0); };
  const int group = common(int(threadIdx.x) / 128 - 1), thread = threadIdx.x % 128;
  const bool speaks = thread == 0;
  const uint64_t rows =
      hopper::matrix_rows_of_128_bytes(common(hopper::shared_address(queries)) + group * kUnitQueries * kHalfBytes);
  const uint64_t first_keys = hopper::matrix_rows_of_128_bytes(common(hopper::shared_address(keys)));
  const uint64_t first_values =
      hopper::matrix_blocks_of_128_bytes(common(hopper::shared_address(values)), S::kBlockBytes / 2);
  hopper::Slot<S::kInFlight> key_slot, value_slot;
  tiles::Parts parts(w.tiles);
  tiles::Part part;
  if (group == 1) pass_turn_to(0);
  for (int parity = 0; parts.next(w.tiles, part); parity ^= 1) {
    float scores[kKeys / 2], sums[64];
    uint32_t weights[kKeys / 4];
    hopper_softmax::Rows r{.scale = {w.scale, w.scale}, .base = {-INFINITY, -INFINITY}, .sum = {0, 0}, .factor = {}};
#pragma unroll
    for (int i = 0; i < 64; ++i) sums[i] = 0;
    // Descriptors count in 16 bytes.
    const auto multiply_keys = [&] {
      hopper::begin_products();
      const uint64_t block = first_keys + uint32_t(common(key_slot.index) * (S::kBlockBytes / 16));
#pragma unroll
      for (int d = 0; d < kWidth / 16; ++d) {
        const int half = d / 4, within = d % 4 * 32;
        hopper::MatrixProduct<kKeys>::add(scores, rows + (half * S::kQueryBytes / 2 + within) / 16,
                                          block + (half * S::kBlockBytes / 2 + within) / 16, d > 0);
      }
      hopper::commit_products();
    };
    const auto multiply_values = [&] {
      hopper::begin_products();
      const uint64_t block = first_values + uint32_t(common(value_slot.index) * (S::kBlockBytes / 16));
#pragma unroll
      for (int k = 0; k < kKeys / 16; ++k)
        hopper::MatrixProduct<kWidth>::add_rows(sums, weights + 4 * k, block + k * 16 * kHalfBytes / 16);
      hopper::commit_products();
    };
    const auto weigh_step = [&](int step) {
      const int valid = w.keys - step * kKeys;
      return valid < kKeys ? weigh<true>(scores, r, valid) : weigh<false>(scores, r, valid);
    };

    hopper::wait(b.full_queries, parity);
    hopper::wait(b.full_keys + key_slot.index, key_slot.parity);
    multiply_keys();
    hopper::wait_for_products<0>();
    if (speaks) hopper::arrive(b.empty_keys + key_slot.index);
    key_slot.advance();
    weigh_step(part.first);
    round_weights(scores, weights);
    for (int step = part.first + 1; step < part.last; ++step) {
      hopper::wait(b.full_keys + key_slot.index, key_slot.parity);
      wait_for_turn(group);
      multiply_keys();
      hopper::wait(b.full_values + value_slot.index, value_slot.parity);
      multiply_values();
      pass_turn_to(1 - group);
      hopper::wait_for_products<1>();  // the scores are there, the sums need not be
      if (speaks) hopper::arrive(b.empty_keys + key_slot.index);
      key_slot.advance();
      const bool grown = weigh_step(step);
      hopper::wait_for_products<0>();
      if (speaks) hopper::arrive(b.empty_values + value_slot.index);
      value_slot.advance();
      if (grown) {
#pragma unroll
        for (int i = 0; i < 64; ++i) sums[i] *= r.factor[i / 2 % 2];
      }
      round_weights(scores, weights);
    }
    if (speaks) hopper::arrive(b.empty_queries);
    hopper::wait(b.full_values + value_slot.index, value_slot.parity);
    multiply_values();
    hopper::wait_for_products<0>();
    if (speaks) hopper::arrive(b.empty_values + value_slot.index);
    value_slot.advance();
    hopper_softmax::add_up(r);
    if (part.slot < 0 || tiles::merge_parts<kGroups>(w.tiles, part, group, sums, r, shared_arrivals))
      store_tile(w, part, part.tile % w.tiles.per_head * kTileQueries + group * kUnitQueries, sums, r);
  }
}

#endif

__global__ void __launch_bounds__(128 * (kGroups + 1), 1)
    bf16_attention_kernel(const __grid_constant__ Bf16Maps maps, const __grid_constant__ Bf16Work w) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  using S = Bf16Shared;
  extern __shared__ uint8_t shared[];
  __shared__ int shared_arrivals[kGroups];
  uint8_t* queries = hopper::aligned<S::kAlignment>(shared);
  uint8_t* keys = queries + S::kQueryBytes;
  uint8_t* values = keys + S::kInFlight * S::kBlockBytes;
  uint64_t* barriers = reinterpret_cast<uint64_t*>(values + S::kInFlight * S::kBlockBytes);
  const Bf16Barriers b{.full_queries = barriers,
                       .empty_queries = barriers + 1,
                       .full_keys = barriers + 2,
                       .empty_keys = barriers + 2 + S::kInFlight,
                       .full_values = barriers + 2 + 2 * S::kInFlight,
                       .empty_values = barriers + 2 + 3 * S::kInFlight};
  if (threadIdx.x == 0) {
    hopper::init_barriers(b.full_queries, b.empty_queries, 1, kGroups);
    hopper::init_barriers(b.full_keys, b.empty_keys, S::kInFlight, kGroups);
    hopper::init_barriers(b.full_values, b.empty_values, S::kInFlight, kGroups);
    hopper::publish_barriers();
  }
  __syncthreads();
  if (threadIdx.x < 128) {
    hopper::give_registers_back<24>();
    if (threadIdx.x == 0) load_parts(maps, w, queries, keys, values, b);
  } else {
    hopper::take_registers<240>();
    attend_parts(w, queries, keys, values, b, shared_arrivals);
  }
#endif
}

tiles::DividedTiles divide(const Bf16AttentionArguments& a, tiles::Workspace& space) {
  return tiles::divide(a.batch * a.heads, tiles::divide_up(a.queries, kTileQueries), tiles::divide_up(a.keys, kKeys),
                       kGroups, a.multiprocessors, space);
}

/// Boxes of half the channels of `tokens` tokens of a head.
bool encode_map(CUtensorMap& map, const Bf16AttentionArguments::Input& x, const Bf16AttentionArguments& a,
                int64_t all_tokens, int tokens) {
  const cuuint64_t sizes[] = {kWidth, cuuint64_t(all_tokens), cuuint64_t(a.heads), cuuint64_t(a.batch)};
  // What a dimension of one has for a stride is not looked at, but checked.
  const auto bytes = [](int64_t size, int64_t stride) { return cuuint64_t(2 * (size > 1 ? stride : kWidth)); };
  const cuuint64_t strides[] = {bytes(all_tokens, x.token_stride), bytes(a.heads, x.head_stride),
                                bytes(a.batch, x.batch_stride)};
  const cuuint32_t box[] = {kHalf, cuuint32_t(tokens), 1, 1};
  return hopper::encode_tensor_map(map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, x.data, sizes, strides, box,
                                   CU_TENSOR_MAP_SWIZZLE_128B);
}

}  // namespace hopper_bf16_attention_cu

int64_t bf16_attention_workspace(const Bf16AttentionArguments& a) {
  tiles::Workspace space(nullptr);
  divide(a, space);
  return space.bytes();
}

cudaError_t launch_bf16_attention(const Bf16AttentionArguments& a, cudaStream_t stream) {
  tiles::Workspace space(a.workspace);
  const tiles::DividedTiles divided = divide(a, space);
  const Bf16Work work{.tiles = divided.tiles,
                      .heads = int(a.heads),
                      .queries = int(a.queries),
                      .keys = int(a.keys),
                      .scale = float(1.4426950408889634 / std::sqrt(double(kWidth))),
                      .out = static_cast<__nv_bfloat16*>(a.out),
                      .lse = a.lse};
  Bf16Maps maps;
  if (!encode_map(maps.q, a.q, a, a.queries, kTileQueries) || !encode_map(maps.k, a.k, a, a.keys, kKeys) ||
      !encode_map(maps.v, a.v, a, a.keys, kKeys))
    return cudaErrorNotSupported;
  const cudaError_t error = cudaMemsetAsync(divided.tiles.arrivals, 0, size_t(divided.arrivals) * sizeof(int), stream);
  if (error != cudaSuccess) return error;
  return hopper::launch_over_tiles(bf16_attention_kernel, divided.grid, divided.grid, 128 * (kGroups + 1),
                                   Bf16Shared::kBytes, stream, maps, work);
}

}  // namespace flashblock
