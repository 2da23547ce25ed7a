// The tiles of an attention on thread blocks, and the merge of their parts. Compiled for sm_90a alone.
#pragma once

#include "attention/kernels/hopper_softmax.cuh"
#include "attention/kernels/hopper_tiles.h"

namespace flashblock::hopper_tiles {

/// Steps from `first` to `last` of a tile; of a whole tile `slot` is negative.
struct Part {
  int tile, first, last, slot, rest;
};

__device__ __forceinline__ int first_rest_step(const Tiles& t, int thread_block) {
  return int(int64_t(thread_block) * t.rest_steps / gridDim.x);
}

/// The parts of this thread block, in turn.
class Parts {
 public:
  __device__ explicit Parts(const Tiles& t)
      : at_(first_rest_step(t, blockIdx.x)), end_(first_rest_step(t, blockIdx.x + 1)) {}

  __device__ bool next(const Tiles& t, Part& part) {
    if (round_ < t.rounds) {
      part = {int(blockIdx.x) + round_++ * int(gridDim.x), 0, t.steps, -1, 0};
      return true;
    }
    if (at_ == end_) return false;
    const int rest = at_ / t.steps, first = at_ - rest * t.steps, last = min(t.steps, first + end_ - at_);
    const bool whole = first == 0 && last == t.steps;
    part = {t.rounds * int(gridDim.x) + rest, first, last, whole ? -1 : rest + int(blockIdx.x), rest};
    at_ += last - first;
    return true;
  }

 private:
  int round_ = 0, at_, end_;
};

/// Waits for the other warps of the warpgroup.
__device__ __forceinline__ void sync_group(int group) { asm volatile("bar.sync %0, 128;" ::"r"(1 + group) : "memory"); }

/// Leaves a part of a tile in memory. The last one to arrive adds all of them up, in their order: then true.
template <int kGroups>
__device__ __forceinline__ bool merge_parts(const Tiles& t, const Part& part, int group, float (&sums)[64],
                                            hopper_softmax::Rows& r, int* shared_arrivals) {
  using hopper_softmax::exact_power_of_two;
  const int thread = threadIdx.x % 128;
  const auto sums_at = [&](int slot) { return t.partial_sums + (int64_t(slot) * kGroups + group) * 16 * 128 + thread; };
  const auto rows_at = [&](int slot) { return t.partial_rows + (int64_t(slot) * kGroups + group) * 128 + thread; };
#pragma unroll
  for (int i = 0; i < 16; ++i)
    __stcg(sums_at(part.slot) + i * 128, make_float4(sums[4 * i], sums[4 * i + 1], sums[4 * i + 2], sums[4 * i + 3]));
  __stcg(rows_at(part.slot), make_float4(r.base[0], r.base[1], r.sum[0], r.sum[1]));
  // The thread blocks that have steps of this tile. That of step s is the largest c with c rest_steps / grid < s + 1.
  const auto thread_block_of = [&](int step) { return int((int64_t(step + 1) * gridDim.x - 1) / t.rest_steps); };
  const int first = thread_block_of(part.rest * t.steps), last = thread_block_of((part.rest + 1) * t.steps - 1);
  const auto has_steps = [&](int c) { return first_rest_step(t, c) < first_rest_step(t, c + 1); };
  int expected = 0;
  for (int c = first; c <= last; ++c) expected += has_steps(c);
  __threadfence();
  sync_group(group);
  if (thread == 0) shared_arrivals[group] = atomicAdd(t.arrivals + part.rest * kGroups + group, 1);
  sync_group(group);
  const bool is_last = shared_arrivals[group] == expected - 1;
  sync_group(group);  // before the next part writes there
  if (!is_last) return false;
  __threadfence();
  float base[2] = {-INFINITY, -INFINITY};
  for (int c = first; c <= last; ++c) {
    if (!has_steps(c)) continue;
    const float4 rows = __ldcg(rows_at(part.rest + c));
    base[0] = fmaxf(base[0], rows.x), base[1] = fmaxf(base[1], rows.y);
  }
  r.sum[0] = r.sum[1] = 0;
#pragma unroll
  for (int i = 0; i < 64; ++i) sums[i] = 0;
  for (int c = first; c <= last; ++c) {
    if (!has_steps(c)) continue;
    const float4 rows = __ldcg(rows_at(part.rest + c));
    const float factor[2] = {exact_power_of_two(rows.x - base[0]), exact_power_of_two(rows.y - base[1])};
    r.sum[0] = fmaf(rows.z, factor[0], r.sum[0]), r.sum[1] = fmaf(rows.w, factor[1], r.sum[1]);
#pragma unroll
    for (int i = 0; i < 16; ++i) {
      const float4 four = __ldcg(sums_at(part.rest + c) + i * 128);
      sums[4 * i] = fmaf(four.x, factor[0], sums[4 * i]), sums[4 * i + 1] = fmaf(four.y, factor[0], sums[4 * i + 1]);
      sums[4 * i + 2] = fmaf(four.z, factor[1], sums[4 * i + 2]);
      sums[4 * i + 3] = fmaf(four.w, factor[1], sums[4 * i + 3]);
    }
  }
  r.base[0] = base[0], r.base[1] = base[1];
  return true;
}

}  // namespace flashblock::hopper_tiles
