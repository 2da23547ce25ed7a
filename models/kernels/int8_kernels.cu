#include <cuda_bf16.h>

#include "core/kernels/hopper_steps.cuh"
#include "models/kernels/int8_kernels.h"
#include "models/kernels/row.cuh"

// Note "The product". A tile is 128 rows of x by kColumns rows of the weight; a step loads 128 values of each of them.
// One warp loads, two warpgroups of 64 rows each compute; thread blocks take tiles in turn. Four neighbouring lanes
// hold columns 2 q, 2 q + 1 of each eight columns of a product. So that each of them can store eight neighbouring
// channels, the copy engine brings the weight's rows in another order: of 32 columns, column 8 j + 2 q + e is channel
// 8 q + 2 j + e. No lanes exchange anything, and the weight lies in memory as it is.

namespace flashblock {
inline namespace int8_kernels_cu {

// --- Quantisation of rows ---------------------------------------------------------------------------

constexpr int kQuantiseThreads = 384;  ///< of a row, at most

// 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), by the hardware's tanh: one special function, not two.
__device__ float gelu(float x) {
  float tanh;
  asm("tanh.approx.f32 %0, %1;" : "=f"(tanh) : "f"(x * (0.7978845608028654f + 0.035677408136300125f * x * x)));
  const float half = 0.5f * x;
  return half * tanh + half;
}

/// The largest of the threads' numbers, which are not negative; NaN if one of them is.
__device__ float largest_of_block(float x) {
  __shared__ float partial[kQuantiseThreads / 32];
  x = largest_of_warp(x);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = x;
  __syncthreads();
  float largest = 0;
  for (unsigned i = 0; i < blockDim.x / 32; ++i) largest = larger(largest, partial[i]);
  return largest;
}

/// A thread block per row; the last row first, since a kernel that has written x wrote it last: it may be in a cache.
template <int kVectors, bool kGelu, bool kFactors>
__global__ void __launch_bounds__(kQuantiseThreads) quantise_rows_kernel(QuantiseRowsArguments a) {
  const int width = int(a.width);
  const int64_t row = a.rows - 1 - blockIdx.x;
  const auto* x = static_cast<const __nv_bfloat16*>(a.x) + row * width;
  int8_t* values = a.values + row * width;
  float v[kVectors][8];
  float largest = 0;
#pragma unroll
  for (int i = 0; i < kVectors; ++i) {
    const int column = (i * int(blockDim.x) + int(threadIdx.x)) * 8;
    if (column >= width) break;
    const Eight<__nv_bfloat16> eight = load_constant(x + column);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const float2 wide = widened(eight.pair[j]);
      v[i][2 * j] = kGelu ? gelu(wide.x) : wide.x;
      v[i][2 * j + 1] = kGelu ? gelu(wide.y) : wide.y;
      if constexpr (kFactors) {
        const float2 factor = __ldg(reinterpret_cast<const float2*>(a.factors + column) + j);
        v[i][2 * j] *= factor.x;
        v[i][2 * j + 1] *= factor.y;
      }
      largest = larger(largest, larger(fabsf(v[i][2 * j]), fabsf(v[i][2 * j + 1])));
    }
  }
  largest = largest_of_block(largest);
  if (threadIdx.x == 0) a.scales[row] = row_scale(largest);
  const float inverse = inverse_row_scale(largest);
#pragma unroll
  for (int i = 0; i < kVectors; ++i) {
    const int column = (i * int(blockDim.x) + int(threadIdx.x)) * 8;
    if (column >= width) break;
    store_quantised(values + column, v[i], inverse);
  }
}

template <int kVectors>
cudaError_t quantise(const QuantiseRowsArguments& a, cudaStream_t stream) {
  const int64_t vectors = (a.width / 8 + kVectors - 1) / kVectors;
  const auto kernel =
      a.factors ? (a.gelu ? quantise_rows_kernel<kVectors, true, true> : quantise_rows_kernel<kVectors, false, true>)
      : a.gelu  ? quantise_rows_kernel<kVectors, true, false>
                : quantise_rows_kernel<kVectors, false, false>;
  kernel<<<unsigned(a.rows), unsigned((vectors + 31) / 32 * 32), 0, stream>>>(a);
  return cudaGetLastError();
}
static_assert(6 * 8 * kQuantiseThreads == kLongestQuantisedRow);

// --- The product ------------------------------------------------------------------------------------

namespace hopper = kernels::hopper;

constexpr int kTileRows = 128, kDepth = 128, kThreads = 3 * 128;
constexpr int kRowsBytes = kTileRows * kDepth;

/// One step of a tile in shared memory: rows of x, then of the weight.
template <int kColumns>
using Step = hopper::StepMemory<kRowsBytes + kColumns * kDepth, 1024>;

struct Product {
  int rows, columns, depth;
  int column_tiles, tiles;
  const float *row_scales, *column_scales;
  const __nv_bfloat16* bias;
  __nv_bfloat16* out;
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

template <int kColumns>
__device__ __forceinline__ void load_tiles(const CUtensorMap& x, const CUtensorMap& weight, const Product& p,
                                           const hopper::Steps& steps) {
  using S = Step<kColumns>;
  hopper::Slot<S::kInFlight> slot{.parity = 1};
  for (int tile = blockIdx.x; tile < p.tiles; tile += gridDim.x) {
    const int row = tile / p.column_tiles * kTileRows, group = tile % p.column_tiles * (kColumns / 32);
    for (int depth = 0; depth < p.depth; depth += kDepth) {
      uint64_t* full = steps.full + slot.index;
      hopper::wait(steps.empty + slot.index, slot.parity);
      hopper::arrive_and_expect(full, S::kBytes);
      uint8_t* rows = steps.memory + slot.index * S::kBytes;
      hopper::load_box(rows, &x, depth, row, full);
      hopper::load_box_of_groups(rows + kRowsBytes, &weight, depth, group, full);
      slot.advance();
    }
  }
}

/// Scales a warpgroup's sums of 64 rows, from `first_row` on, adds the bias and stores them.
template <int kColumns>
__device__ __forceinline__ void store_tile(const Product& p, const int32_t (&sums)[kColumns / 2], int first_row,
                                           int first_column) {
  const int lane = threadIdx.x % 32, row = first_row + threadIdx.x % 128 / 32 * 16 + lane / 4;
  float row_scales[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) row_scales[h] = row + 8 * h < p.rows ? p.row_scales[row + 8 * h] : 0;
#pragma unroll
  for (int group = 0; group < kColumns / 32; ++group) {
    const int column = first_column + group * 32 + lane % 4 * 8;
    if (column >= p.columns) break;
    const float4 low = __ldg(reinterpret_cast<const float4*>(p.column_scales + column));
    const float4 high = __ldg(reinterpret_cast<const float4*>(p.column_scales + column + 4));
    const float scales[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
    const Eight<__nv_bfloat16> bias = load_constant(p.bias + column);
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      Eight<__nv_bfloat16> eight;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int32_t* sum = sums + 4 * (4 * group + j) + 2 * h;
        const float2 b = widened(bias.pair[j]);
        eight.pair[j] = narrowed<__nv_bfloat16>(float(sum[0]) * row_scales[h] * scales[2 * j] + b.x,
                                                float(sum[1]) * row_scales[h] * scales[2 * j + 1] + b.y);
      }
      if (row + 8 * h < p.rows) store_eight(p.out + int64_t(row + 8 * h) * p.columns + column, eight);
    }
  }
}

template <int kColumns>
__device__ __forceinline__ void compute_tiles(const Product& p, const hopper::Steps& steps) {
  using S = Step<kColumns>;
  const int group = threadIdx.x / 128 - 1;
  const bool speaks = threadIdx.x % 128 == 0;
  hopper::Slot<S::kInFlight> slot;
  for (int tile = blockIdx.x; tile < p.tiles; tile += gridDim.x) {
    int32_t sums[kColumns / 2];
    int last = -1;
    for (int depth = 0; depth < p.depth; depth += kDepth) {
      hopper::wait(steps.full + slot.index, slot.parity);
      const uint8_t* step = steps.memory + slot.index * S::kBytes;
      const uint32_t rows = hopper::shared_address(step) + group * 64 * kDepth;
      const uint32_t weight = hopper::shared_address(step + kRowsBytes);
      hopper::begin_products();
#pragma unroll
      for (int k = 0; k < kDepth; k += 32)
        hopper::Int8Product<kColumns>::add(sums, hopper::matrix_rows_of_128_bytes(rows + k),
                                           hopper::matrix_rows_of_128_bytes(weight + k), k == 0 ? depth > 0 : 1);
      hopper::commit_products();
      hopper::wait_for_products<1>();
      if (last >= 0 && speaks) hopper::arrive(steps.empty + last);
      last = slot.index;
      slot.advance();
    }
    hopper::wait_for_products<0>();
    if (speaks) hopper::arrive(steps.empty + last);
    store_tile<kColumns>(p, sums, tile / p.column_tiles * kTileRows + group * 64, tile % p.column_tiles * kColumns);
  }
}

#endif

template <int kColumns>
__global__ void __launch_bounds__(kThreads, 1)
    int8_linear_kernel(const __grid_constant__ CUtensorMap x, const __grid_constant__ CUtensorMap weight,
                       const __grid_constant__ Product p) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  using S = Step<kColumns>;
  extern __shared__ uint8_t shared[];
  const hopper::Steps steps = hopper::begin_steps<S>(shared, 2);
  if (threadIdx.x < 128) {
    hopper::give_registers_back<40>();
    if (threadIdx.x == 0) load_tiles<kColumns>(x, weight, p, steps);
  } else {
    hopper::take_registers<232>();
    compute_tiles<kColumns>(p, steps);
  }
#endif
}

int64_t tiles_of(const Int8LinearArguments& a, int columns) {
  return hopper::divide_up(a.rows, kTileRows) * hopper::divide_up(a.out_columns, columns);
}

template <int kColumns>
cudaError_t run_product(const Int8LinearArguments& a, cudaStream_t stream) {
  using S = Step<kColumns>;
  const auto in = cuuint64_t(a.in), rows = cuuint64_t(a.rows), groups = cuuint64_t(a.out_columns / 32);
  const cuuint64_t x_sizes[] = {in, rows}, x_strides[] = {in};
  const cuuint32_t x_box[] = {kDepth, kTileRows};
  // By the note above: in, e, q, j, and groups of 32 columns.
  const cuuint64_t sizes[] = {in, 2, 4, 4, groups}, strides[] = {in, 8 * in, 2 * in, 32 * in};
  const cuuint32_t box[] = {kDepth, 2, 4, 4, kColumns / 32};
  CUtensorMap x, weight;
  const auto encode = [](CUtensorMap& map, const void* matrix, const auto&... layout) {
    return hopper::encode_tensor_map(map, CU_TENSOR_MAP_DATA_TYPE_UINT8, matrix, layout..., CU_TENSOR_MAP_SWIZZLE_128B);
  };
  if (!encode(x, a.x, x_sizes, x_strides, x_box) || !encode(weight, a.weight, sizes, strides, box))
    return cudaErrorInvalidValue;
  const Product product{.rows = int(a.rows),
                        .columns = int(a.out_columns),
                        .depth = int(a.in),
                        .column_tiles = int(hopper::divide_up(a.out_columns, kColumns)),
                        .tiles = int(tiles_of(a, kColumns)),
                        .row_scales = a.row_scales,
                        .column_scales = a.column_scales,
                        .bias = static_cast<const __nv_bfloat16*>(a.bias),
                        .out = static_cast<__nv_bfloat16*>(a.out)};
  return hopper::launch_over_tiles(int8_linear_kernel<kColumns>, product.tiles, a.multiprocessors, kThreads,
                                   S::kSharedBytes, stream, x, weight, product);
}

}  // namespace int8_kernels_cu

cudaError_t launch_quantise_rows(const QuantiseRowsArguments& a, cudaStream_t stream) {
  if (a.rows == 0) return cudaSuccess;
  const auto fits = [&](int vectors) { return a.width <= int64_t(vectors) * 8 * kQuantiseThreads; };
  return fits(1)   ? quantise<1>(a, stream)
         : fits(2) ? quantise<2>(a, stream)
         : fits(4) ? quantise<4>(a, stream)
                   : quantise<6>(a, stream);
}

cudaError_t launch_int8_linear(const Int8LinearArguments& a, cudaStream_t stream) {
  if (a.rows == 0) return cudaSuccess;
  // The width of tiles whose rounds over all multiprocessors take less time; the wider one reads less.
  const auto rounds = [&](int columns) { return hopper::divide_up(tiles_of(a, columns), a.multiprocessors) * columns; };
  return rounds(256) <= rounds(192) ? run_product<256>(a, stream) : run_product<192>(a, stream);
}

}  // namespace flashblock
