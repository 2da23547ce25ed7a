#include <cuda_bf16.h>

#include <algorithm>

#include "core/kernels/dependent_launch.cuh"
#include "core/kernels/tensor_core.cuh"
#include "language/kernels/few_row_product.h"

namespace flashblock {
inline namespace few_row_product_cu {

using namespace kernels;

// One thread block per multiprocessor holds a slice of all rows of x in shared
// memory and computes, one after the other, tiles of 16 rows of the weight. Its
// 16 warps divide the inner dimension of a tile: together they read 1 KiB of
// each of the 16 rows at a time. Each thread copies what it will multiply
// itself into a ring in shared memory, so that the copies need no barrier, go
// on across tiles, and begin before the kernel in front has ended. Weights are
// the rows of the matrix unit's a, activations the columns of b: up to 8 rows
// of activations cost one product, 16 two.
constexpr int kWarps = 16, kThreads = 32 * kWarps;
constexpr int kTileRows = 16;
constexpr int kStep = 32 * kWarps;  // inner elements that the thread block reads at a time
constexpr int kMostSliceSteps = 8;  // of a slice: a row of it is 16 bytes of each thread
constexpr int kPadding = 32;        // elements between rows of x: neighboring rows in different banks
constexpr int kSumsOfTile = kTileRows * 8;

// By the most rows of x.
template <int kRows>
struct ProductSizes {
  static constexpr int kGroups = kRows / 8;
  static constexpr int kRing = kRows == 8 ? 8 : 5;  // stages
  static constexpr size_t kRingBytes = sizeof(uint4) * 2 * kThreads * kRing;
  static constexpr size_t kSumBytes = sizeof(float) * kWarps * kGroups * kSumsOfTile;
  static constexpr size_t kBytes =
      kRingBytes + kSumBytes + sizeof(__nv_bfloat16) * kRows * (kMostSliceSteps * kStep + kPadding);
  static_assert(kBytes <= 227 * 1024);
};

struct Slice {
  int first_step, steps;
};

__host__ __device__ inline Slice slice_of(int index, int slices, int steps) {
  const int first = steps * index / slices;
  return {first, steps * (index + 1) / slices - first};
}

// The 16 bytes of x at a row and column.
__device__ inline const uint4* source_of(const FewRowProduct& a, int row, int column) {
  const auto* x = static_cast<const __nv_bfloat16*>(a.x);
  if (a.kv_heads == 0) return reinterpret_cast<const uint4*>(x + row * a.depth + column);
  const int head = column / 128, group = int(a.group), kv_head = head / group;
  const int64_t at = (int64_t(row * group + head - kv_head * group) * a.kv_heads + kv_head) * 128 + column % 128;
  return reinterpret_cast<const uint4*>(x + at);
}

__device__ inline float rounded(float x) { return __bfloat162float(__float2bfloat16_rn(x)); }

// Adds the sums of all warps and stores a tile. In `sums`, [warp][group of
// rows][lane][4]: of lane 4 g + t the rows g and g + 8 of the weight's tile and
// the rows 2 t and 2 t + 1 of x.
template <int kGroups, ProductOutput kOutput>
__device__ inline void store_tile(const FewRowProduct& a, const float* sums, int tile, int slice) {
  constexpr int kStored = kOutput == ProductOutput::kSwiglu ? 8 : 16;  // columns of a tile
  const int column = int(threadIdx.x) % kStored, row = int(threadIdx.x) / kStored;
  if (row >= a.rows) return;
  const auto sum_at = [&](int weight_row) {
    const int lane = weight_row % 8 * 4 + row % 8 / 2;
    const int at = row / 8 * kSumsOfTile + lane * 4 + weight_row / 8 * 2 + row % 2;
    float sum = 0;
#pragma unroll
    for (int warp = 0; warp < kWarps; ++warp) sum += sums[warp * kGroups * kSumsOfTile + at];
    return sum;
  };
  if constexpr (kOutput == ProductOutput::kSwiglu) {
    const float gate = rounded(sum_at(column)), up = rounded(sum_at(column + 8));
    static_cast<__nv_bfloat16*>(a.out)[row * (a.columns / 2) + tile * 8 + column] =
        __float2bfloat16_rn(rounded(gate / (1.0f + expf(-gate))) * up);
  } else if constexpr (kOutput == ProductOutput::kRounded) {
    static_cast<__nv_bfloat16*>(a.out)[row * a.columns + tile * 16 + column] = __float2bfloat16_rn(sum_at(column));
  } else {
    static_cast<float*>(a.out)[(slice * a.rows + row) * a.columns + tile * 16 + column] = sum_at(column);
  }
}

template <int kRows, ProductOutput kOutput>
__global__ void __launch_bounds__(kThreads, 1)
    few_row_product_kernel(const __grid_constant__ FewRowProduct a, int slices) {
  using Sizes = ProductSizes<kRows>;
  constexpr int kGroups = Sizes::kGroups, kRing = Sizes::kRing;
  extern __shared__ __align__(16) unsigned char shared[];
  uint4* ring = reinterpret_cast<uint4*>(shared) + threadIdx.x;  // [stage][2][thread]
  float* sums = reinterpret_cast<float*>(shared + Sizes::kRingBytes);
  auto* x = reinterpret_cast<__nv_bfloat16*>(shared + Sizes::kRingBytes + Sizes::kSumBytes);

  const int index = int(blockIdx.x) % slices, first_tile = int(blockIdx.x) / slices;
  const int tile_stride = int(gridDim.x) / slices, tiles = int(a.columns) / kTileRows;
  const Slice slice = slice_of(index, slices, int(a.depth) / kStep);
  const int own_tiles = first_tile < tiles ? (tiles - first_tile - 1) / tile_stride + 1 : 0;
  const int total = own_tiles * slice.steps;
  const int warp = int(threadIdx.x) / 32, g = int(threadIdx.x) % 32 / 4, t = int(threadIdx.x) % 4;
  const int own_column = warp * 32 + t * 8;              // of a step
  const int first_step = int(blockIdx.x) % slice.steps;  // thread blocks read different columns at a time

  // Rows g and g + 8 of a tile; with swiglu row g of both halves.
  constexpr bool kHalves = kOutput == ProductOutput::kSwiglu;
  const int64_t row_step = kHalves ? 8 : 16, second_row = kHalves ? a.columns / 2 : 8;
  const __nv_bfloat16* from = static_cast<const __nv_bfloat16*>(a.weight) + (first_tile * row_step + g) * a.depth +
                              slice.first_step * kStep + own_column;
  const int64_t to_second = second_row * a.depth, to_next_tile = tile_stride * row_step * a.depth;
  const uint64_t policy = streaming_policy();
  int fetched = 0, fetched_of_tile = 0, fetched_step = first_step;
  const auto fetch = [&](int stage) {
    if (fetched < total) {
      const __nv_bfloat16* weight = from + fetched_step * kStep;
      begin_streamed_copy(ring + (2 * stage) * kThreads, weight, policy);
      begin_streamed_copy(ring + (2 * stage + 1) * kThreads, weight + to_second, policy);
      if (++fetched_step == slice.steps) fetched_step = 0;
      if (++fetched_of_tile == slice.steps) {
        fetched_of_tile = 0;
        from += to_next_tile;
      }
      ++fetched;
    }
    end_copy_group();
  };
#pragma unroll
  for (int stage = 0; stage < kRing; ++stage) fetch(stage);

  allow_next_kernel();
  wait_for_kernels_in_front();
  const int depth = slice.steps * kStep, stride = depth + kPadding, column = 8 * int(threadIdx.x);
  uint4 loaded[kRows];
#pragma unroll
  for (int row = 0; row < kRows; ++row)
    loaded[row] =
        column < depth && row < a.rows ? *source_of(a, row, slice.first_step * kStep + column) : make_uint4(0, 0, 0, 0);
  if (column < depth) {
#pragma unroll
    for (int row = 0; row < kRows; ++row) *reinterpret_cast<uint4*>(x + row * stride + column) = loaded[row];
  }
  __syncthreads();

  const __nv_bfloat16* own_x = x + g * stride + own_column;
  int stage = 0, column_step = first_step;
  for (int tile = first_tile; tile < tiles; tile += tile_stride) {
    float own[kGroups][4] = {};
    for (int step = 0; step < slice.steps; ++step) {
      wait_for_copies<kRing - 1>();
      const uint4 low = ring[(2 * stage) * kThreads], high = ring[(2 * stage + 1) * kThreads];
#pragma unroll
      for (int group = 0; group < kGroups; ++group) {
        const uint4 activations = *reinterpret_cast<const uint4*>(own_x + group * 8 * stride + column_step * kStep);
        multiply_add(own[group], low, high, activations);
      }
      fetch(stage);
      stage = stage + 1 == kRing ? 0 : stage + 1;
      if (++column_step == slice.steps) column_step = 0;
    }
    __syncthreads();  // the tile before is stored
#pragma unroll
    for (int group = 0; group < kGroups; ++group)
      reinterpret_cast<float4*>(sums)[(warp * kGroups + group) * 32 + threadIdx.x % 32] =
          make_float4(own[group][0], own[group][1], own[group][2], own[group][3]);
    __syncthreads();
    store_tile<kGroups, kOutput>(a, sums, tile, index);
  }
}

int processors() { return device_attribute<cudaDevAttrMultiProcessorCount>(); }

template <int kRows, ProductOutput kOutput>
cudaError_t launch_product(const FewRowProduct& product, cudaStream_t stream) {
  constexpr auto kKernel = few_row_product_kernel<kRows, kOutput>;
  constexpr size_t kBytes = ProductSizes<kRows>::kBytes;
  const cudaError_t allowed = allow_shared_bytes<kKernel>(kBytes);
  if (allowed != cudaSuccess) return allowed;
  const int slices = int(product_slices(product.depth));
  const dim3 blocks(static_cast<unsigned>(processors() / slices * slices));
  return launch_dependent(kKernel, blocks, kThreads, kBytes, stream, product, slices);
}

template <int kRows>
cudaError_t launch_with_output(const FewRowProduct& product, cudaStream_t stream) {
  switch (product.output) {
    case ProductOutput::kRounded:
      return launch_product<kRows, ProductOutput::kRounded>(product, stream);
    case ProductOutput::kSums:
      return launch_product<kRows, ProductOutput::kSums>(product, stream);
    case ProductOutput::kSwiglu:
      return launch_product<kRows, ProductOutput::kSwiglu>(product, stream);
  }
  return cudaErrorInvalidValue;
}

}  // namespace few_row_product_cu

int64_t product_slices(int64_t depth) { return (depth + kMostSliceSteps * kStep - 1) / (kMostSliceSteps * kStep); }

bool few_row_product_takes(int64_t rows, int64_t depth, int64_t columns) {
  const bool sizes = rows >= 1 && rows <= kMostProductRows && depth > 0 && depth % kStep == 0 &&
                     columns % kTileRows == 0 && product_slices(depth) <= processors();
  const auto shared = static_cast<size_t>(device_attribute<cudaDevAttrMaxSharedMemoryPerBlockOptin>());
  return sizes && shared >= std::max(ProductSizes<8>::kBytes, ProductSizes<16>::kBytes);
}

cudaError_t launch_few_row_product(const FewRowProduct& product, cudaStream_t stream) {
  return product.rows <= 8 ? launch_with_output<8>(product, stream) : launch_with_output<16>(product, stream);
}

}  // namespace flashblock
