#include <cuda_bf16.h>

#include <algorithm>

#include "core/kernels/hopper_steps.cuh"
#include "vae/kernels/hopper_int8_convolution.h"
#include "vae/kernels/pack_bytes.cuh"
#include "vae/kernels/profiler_range.h"

// Note "Convolution of planes". As in hopper_convolution.cu a tap is the matrix of positions moved by a constant number
// of rows. Frames are stored in planes of 16 channels, 16 bytes a position: a range of positions of a plane is one run
// of memory, which is copied as it is and read by the matrix units as columns of 16 bytes, from any row on. So 96
// channels need no padding. A step of a tile loads kPlanes planes of its positions and one more on either side, for the
// three taps of a line (dx = 0, 1, 2). One warp loads; kGroups warpgroups of 128 positions each compute; thread blocks
// take tiles in turn. Weights lie in an order in which each lane gets eight neighbouring channels.

namespace flashblock::kernels {
inline namespace hopper_int8_convolution_cu {

constexpr int kPlaneBytes = 16, kTaps = 3, kGroupRows = 128;

/// One step of a tile in shared memory: positions, then weights.
template <int kColumns, int kPlanes, int kGroups>
struct StepSizes {
  static constexpr int kTileRows = kGroups * kGroupRows, kLoadedRows = kTileRows + 8;
  static constexpr int kRowsBytes = kPlanes * kLoadedRows * kPlaneBytes;
  static constexpr int kRunBytes = kColumns * kPlaneBytes;  ///< weights of a tap and plane
  static constexpr int kWeightBytes = kPlanes * kTaps * kRunBytes;
  static constexpr int kThreads = (kGroups + 1) * 128;
  static_assert((kRowsBytes + kWeightBytes) % 128 == 0);
  static_assert(kPlanes * (kTaps + 1) <= 32);  // a lane of the loading warp per copy
};
template <int kColumns, int kPlanes, int kGroups, typename Sizes = StepSizes<kColumns, kPlanes, kGroups>>
struct Step : Sizes, hopper::StepMemory<Sizes::kRowsBytes + Sizes::kWeightBytes, 128> {};

struct Shape {
  const uint8_t *history[2], *frames, *weights;
  const float *scales, *bias, *gamma, *inverse_steps, *zeros;
  void* out;
  bool add;
  int width, height;  ///< without the border
  int row, plane;     ///< positions of a bordered line and frame
  int tiles_per_frame, column_tiles, tiles;
  int planes;  ///< of the input
  int out_channels;
};

struct Tile {
  int frame, first_row;  ///< first position, relative to the frame
  int columns;           ///< first channel
};

/// The positions that are loaded for a line of taps: `count` from `start` on, the first tap's first one `skipped`
/// later.
struct Window {
  int start, count, skipped;
};

template <typename S>
__device__ __forceinline__ Window window_of(const Shape& s, const Tile& tile, int line) {
  const int wanted = tile.first_row - 1 + (line % 3 - 1) * s.row, count = min(S::kLoadedRows, s.plane);
  const int start = min(wanted, s.plane - count);  // what is beyond the frame counts for nothing
  return {start, count, wanted - start};
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

constexpr int kLines = 9;

__device__ __forceinline__ Tile tile_at(const Shape& s, int index, int rows, int columns) {
  const int column_tile = index % s.column_tiles, rest = index / s.column_tiles;
  return {rest / s.tiles_per_frame, s.row + 1 + rest % s.tiles_per_frame * rows, column_tile * columns};
}

/// By one warp: a lane for each copy of a step.
template <int kColumns, int kPlanes, int kGroups>
__device__ __forceinline__ void load_tiles(const Shape& s, const hopper::Steps& steps) {
  using S = Step<kColumns, kPlanes, kGroups>;
  const int lane = threadIdx.x;
  hopper::Slot<S::kInFlight> slot{.parity = 1};
  for (int index = blockIdx.x; index < s.tiles; index += gridDim.x) {
    const Tile tile = tile_at(s, index, S::kTileRows, kColumns);
    for (int line = 0; line < kLines; ++line) {
      const int frame = tile.frame + line / 3;
      const int64_t frame_bytes = static_cast<int64_t>(s.planes) * s.plane * kPlaneBytes;
      const uint8_t* in = frame < 2 ? s.history[frame] : s.frames + (frame - 2) * frame_bytes;
      const Window window = window_of<S>(s, tile, line);
      for (int plane = 0; plane < s.planes; plane += kPlanes) {
        uint64_t* full = steps.full + slot.index;
        hopper::wait(steps.empty + slot.index, slot.parity);
        uint8_t* step = steps.memory + slot.index * S::kBytes;
        if (lane == 0) hopper::arrive_and_expect(full, S::kWeightBytes + kPlanes * window.count * kPlaneBytes);
        __syncwarp();
        if (lane < kPlanes) {
          const int64_t position = static_cast<int64_t>(plane + lane) * s.plane + window.start;
          hopper::load_bytes(step + lane * S::kLoadedRows * kPlaneBytes, in + position * kPlaneBytes,
                             window.count * kPlaneBytes, full);
        } else if (lane < kPlanes * (kTaps + 1)) {
          const int run = lane - kPlanes;
          const int64_t row = static_cast<int64_t>((line * s.planes + plane) * kTaps + run) * s.out_channels;
          hopper::load_bytes(step + S::kRowsBytes + run * S::kRunBytes, s.weights + (row + tile.columns) * kPlaneBytes,
                             S::kRunBytes, full);
        }
        slot.advance();
      }
    }
  }
}

struct Eight {
  float v[8];
};

/// Volatile, so that the numbers of all channels are not held in registers from one row to the next.
__device__ __forceinline__ Eight load_eight(const float* p) {
  Eight e;
#pragma unroll
  for (int k = 0; k < 8; k += 4)
    asm volatile("ld.global.nc.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(e.v[k]), "=f"(e.v[k + 1]), "=f"(e.v[k + 2]), "=f"(e.v[k + 3])
                 : "l"(p + k));
  return e;
}

/// A lane's sums of one row as values, kept in their place. Values of channels 32 g + 8 q + 2 j + e, q the lane's
/// number among four, are at 4 (4 g + j) + e + 2 h.
template <int kColumns>
__device__ __forceinline__ void normalise(const Shape& s, int32_t (&sums)[kColumns / 2], int h) {
  const int lane_column = threadIdx.x % 4 * 8;
  float squares = 0;
#pragma unroll
  for (int g = 0; g < kColumns / 32; ++g) {
    const Eight scales = load_eight(s.scales + g * 32 + lane_column), bias = load_eight(s.bias + g * 32 + lane_column);
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      int32_t& sum = sums[4 * (4 * g + k / 2) + k % 2 + 2 * h];
      const float x = static_cast<float>(sum) * scales.v[k] + bias.v[k];
      squares += x * x;
      sum = __float_as_int(x);
    }
  }
  squares += __shfl_xor_sync(0xffffffffu, squares, 1);
  squares += __shfl_xor_sync(0xffffffffu, squares, 2);
  const float factor = 0.5f * sqrtf(static_cast<float>(kColumns)) / fmaxf(sqrtf(squares), 1e-12f);
#pragma unroll
  for (int g = 0; g < kColumns / 32; ++g) {
    const Eight gamma = load_eight(s.gamma + g * 32 + lane_column);
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      int32_t& x = sums[4 * (4 * g + k / 2) + k % 2 + 2 * h];
      x = __float_as_int(silu_of_twice(__int_as_float(x) * (factor * gamma.v[k])));
    }
  }
}

/// Stores a row of a frame that was normalised, from the lane's first channel on.
template <int kColumns>
__device__ __forceinline__ void store_quantised(const Shape& s, const int32_t (&values)[kColumns / 2], int h,
                                                uint8_t* frame, int row, bool border) {
  const int lane_column = threadIdx.x % 4 * 8;
#pragma unroll
  for (int g = 0; g < kColumns / 32; ++g) {
    const int column = g * 32 + lane_column;
    const Eight inverse = load_eight(s.inverse_steps + column), zeros = load_eight(s.zeros + column);
    float q[8];
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      const float x = border ? 0.0f : __int_as_float(values[4 * (4 * g + k / 2) + k % 2 + 2 * h]);
      q[k] = fmaf(x, inverse.v[k], zeros.v[k]);
    }
    uint8_t* out = frame + (static_cast<int64_t>(column / kPlaneBytes) * s.plane + row) * kPlaneBytes + column % 16;
    *reinterpret_cast<uint2*>(out) = {pack_four(q[0], q[1], q[2], q[3]), pack_four(q[4], q[5], q[6], q[7])};
  }
}

template <int kColumns>
__device__ __forceinline__ void store_sums(const Shape& s, const int32_t (&sums)[kColumns / 2], int h,
                                           __nv_bfloat16* out, int first_column) {
  const int lane_column = first_column + threadIdx.x % 4 * 8;
  uint4 before[kColumns / 32];  // all at once: they take long
#pragma unroll
  for (int g = 0; g < kColumns / 32; ++g)
    before[g] = s.add ? *reinterpret_cast<const uint4*>(out + lane_column + g * 32) : uint4{};
#pragma unroll
  for (int g = 0; g < kColumns / 32; ++g) {
    const int column = lane_column + g * 32;
    const Eight scales = load_eight(s.scales + column), bias = load_eight(s.bias + column);
    const auto* added = reinterpret_cast<const __nv_bfloat162*>(before + g);
    __nv_bfloat162 pairs[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int32_t* sum = sums + 4 * (4 * g + j) + 2 * h;
      float x = static_cast<float>(sum[0]) * scales.v[2 * j] + bias.v[2 * j];
      float y = static_cast<float>(sum[1]) * scales.v[2 * j + 1] + bias.v[2 * j + 1];
      if (s.add) {
        const float2 there = __bfloat1622float2(added[j]);
        x += there.x, y += there.y;
      }
      pairs[j] = __floats2bfloat162_rn(x, y);
    }
    *reinterpret_cast<uint4*>(out + column) = *reinterpret_cast<const uint4*>(pairs);
  }
}

/// Where a row of a frame is in the result, or null if it is of the border.
__device__ __forceinline__ __nv_bfloat16* row_of_result(const Shape& s, const Tile& tile, int row) {
  const int y = row / s.row - 1, x = row % s.row - 1;
  if (row > s.height * s.row + s.width || x < 0 || x >= s.width) return nullptr;
  const int64_t position = (static_cast<int64_t>(tile.frame) * s.height + y) * s.width + x;
  return static_cast<__nv_bfloat16*>(s.out) + position * s.out_channels;
}

/// Brings what a warpgroup's sums will be added to into the L2 cache.
template <int kColumns>
__device__ __forceinline__ void prefetch_result(const Shape& s, const Tile& tile, int first_row) {
  constexpr int kLine = 64;  // channels of a line of 128 bytes
  const __nv_bfloat16* out = row_of_result(s, tile, first_row + threadIdx.x % 128);
  if (!out) return;
#pragma unroll
  for (int column = 0; column < kColumns; column += kLine)
    asm volatile("prefetch.global.L2 [%0];" ::"l"(out + tile.columns + column));
}

/// Stores a warpgroup's sums of 2 x 64 rows, from `first_row` of the frame on.
template <int kColumns, bool kNormalises>
__device__ __forceinline__ void store_tile(const Shape& s, const Tile& tile, int first_row,
                                           int32_t (&sums)[2][kColumns / 2]) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x % 128 / 32;
  const int last = s.height * s.row + s.width;  // the last position within the border
#pragma unroll
  for (int half = 0; half < 4; ++half) {
    const int i = half / 2, h = half % 2;
    const int row = first_row + i * 64 + warp * 16 + h * 8 + lane / 4;
    if constexpr (kNormalises) {
      normalise<kColumns>(s, sums[i], h);
      const int x = row % s.row - 1;
      uint8_t* frame = static_cast<uint8_t*>(s.out) + static_cast<int64_t>(tile.frame) * s.out_channels * s.plane;
      if (row <= last) store_quantised<kColumns>(s, sums[i], h, frame, row, x < 0 || x >= s.width);
    } else if (__nv_bfloat16* out = row_of_result(s, tile, row)) {
      store_sums<kColumns>(s, sums[i], h, out, tile.columns);
    }
  }
}

/// Before the first and after the last position of a frame: the rest of the border. By `threads` threads.
__device__ __forceinline__ void store_border(const Shape& s, int frame, int thread, int threads) {
  const int edge = s.row + 1, planes = s.out_channels / kPlaneBytes;
  auto* out = static_cast<uint4*>(s.out) + static_cast<int64_t>(frame) * planes * s.plane;
  for (int i = thread; i < 2 * edge * planes; i += threads) {
    const int plane = i / (2 * edge), place = i % (2 * edge);
    const float* z = s.zeros + plane * kPlaneBytes;
    const uint4 four{pack_four(z[0], z[1], z[2], z[3]), pack_four(z[4], z[5], z[6], z[7]),
                     pack_four(z[8], z[9], z[10], z[11]), pack_four(z[12], z[13], z[14], z[15])};
    out[static_cast<int64_t>(plane) * s.plane + (place < edge ? place : s.plane - 2 * edge + place)] = four;
  }
}

template <int kColumns, int kPlanes, int kGroups, bool kNormalises>
__device__ __forceinline__ void compute_tiles(const Shape& s, const hopper::Steps& steps) {
  using S = Step<kColumns, kPlanes, kGroups>;
  const int group = threadIdx.x / 128 - 1;
  const bool speaks = threadIdx.x % 128 == 0;
  hopper::Slot<S::kInFlight> slot;
  for (int index = blockIdx.x; index < s.tiles; index += gridDim.x) {
    const Tile tile = tile_at(s, index, S::kTileRows, kColumns);
    if (s.add) prefetch_result<kColumns>(s, tile, tile.first_row + group * kGroupRows);
    int32_t sums[2][kColumns / 2];
    int last = -1;
    for (int line = 0; line < kLines; ++line) {
      const int first = (window_of<S>(s, tile, line).skipped + group * kGroupRows) * kPlaneBytes;
      for (int plane = 0; plane < s.planes; plane += kPlanes) {
        hopper::wait(steps.full + slot.index, slot.parity);
        const uint8_t* step = steps.memory + slot.index * S::kBytes;
        const uint32_t rows = hopper::shared_address(step) + first;
        const uint32_t weights = hopper::shared_address(step + S::kRowsBytes);
        hopper::begin_products();
#pragma unroll
        for (int tap = 0; tap < kTaps; ++tap)
#pragma unroll
          for (int k = 0; k < kPlanes; k += 2)
#pragma unroll
            for (int i = 0; i < 2; ++i)
              hopper::UInt8Product<kColumns>::add(
                  sums[i],
                  hopper::matrix_columns_of_16_bytes(rows + (k * S::kLoadedRows + i * 64 + tap) * kPlaneBytes,
                                                     S::kLoadedRows),
                  hopper::matrix_columns_of_16_bytes(weights + (k * kTaps + tap) * S::kRunBytes, kTaps * kColumns),
                  tap == 0 && k == 0 ? line + plane > 0 : 1);
        hopper::commit_products();
        hopper::wait_for_products<1>();
        if (last >= 0 && speaks) hopper::arrive(steps.empty + last);
        last = slot.index;
        slot.advance();
      }
    }
    hopper::wait_for_products<0>();
    if (speaks) hopper::arrive(steps.empty + last);
    store_tile<kColumns, kNormalises>(s, tile, tile.first_row + group * kGroupRows, sums);
    if (kNormalises && tile.first_row == s.row + 1) store_border(s, tile.frame, threadIdx.x - 128, kGroups * 128);
  }
}

#endif

template <int kColumns, int kPlanes, int kGroups, bool kNormalises>
__global__ void __launch_bounds__((kGroups + 1) * 128, 1) int8_convolution_kernel(const __grid_constant__ Shape s) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  using S = Step<kColumns, kPlanes, kGroups>;
  extern __shared__ uint8_t shared[];
  const hopper::Steps steps = hopper::begin_steps<S>(shared, kGroups);
  if (threadIdx.x < 128) {
    hopper::give_registers_back<kGroups == 2 ? 40 : 32>();
    if (threadIdx.x < 32) load_tiles<kColumns, kPlanes, kGroups>(s, steps);
  } else {
    hopper::take_registers<kGroups == 2 ? 232 : 152>();
    compute_tiles<kColumns, kPlanes, kGroups, kNormalises>(s, steps);
  }
#endif
}

template <int kColumns, int kPlanes, int kGroups, bool kNormalises>
cudaError_t run(Shape shape, int64_t count, int multiprocessors, cudaStream_t stream) {
  using S = Step<kColumns, kPlanes, kGroups>;
  shape.tiles_per_frame =
      static_cast<int>(hopper::divide_up(static_cast<int64_t>(shape.height) * shape.row - 2, S::kTileRows));
  shape.column_tiles = shape.out_channels / kColumns;
  shape.tiles = static_cast<int>(count * shape.tiles_per_frame * shape.column_tiles);
  return hopper::launch_over_tiles(int8_convolution_kernel<kColumns, kPlanes, kGroups, kNormalises>, shape.tiles,
                                   multiprocessors, S::kThreads, S::kSharedBytes, stream, shape);
}

Shape shape_of(const Int8CausalArguments& a) {
  Shape shape{};
  for (int i = 0; i < 2; ++i) shape.history[i] = static_cast<const uint8_t*>(a.history[i]);
  shape.frames = static_cast<const uint8_t*>(a.frames), shape.weights = static_cast<const uint8_t*>(a.weights);
  shape.scales = a.scales, shape.bias = a.bias;
  shape.gamma = a.gamma, shape.inverse_steps = a.inverse_steps, shape.zeros = a.zeros;
  shape.out = a.out, shape.add = a.add;
  shape.width = static_cast<int>(a.width), shape.height = static_cast<int>(a.height);
  shape.row = shape.width + 2, shape.plane = (shape.height + 2) * shape.row;
  shape.planes = static_cast<int>(a.in_channels / kPlaneBytes);
  shape.out_channels = static_cast<int>(a.out_channels);
  return shape;
}

/// Time of whole rounds of all multiprocessors over tiles, in positions times channels.
int64_t time_of_tiles(const Shape& shape, int64_t count, int multiprocessors, int rows, int columns) {
  const int64_t tiles = count * hopper::divide_up(static_cast<int64_t>(shape.height) * shape.row - 2, rows) *
                        (shape.out_channels / columns);
  return hopper::divide_up(tiles, multiprocessors) * rows * columns;
}

cudaError_t run_plain(const Shape& shape, int64_t count, int multiprocessors, cudaStream_t stream) {
  const auto time = [&](int rows, int columns) { return time_of_tiles(shape, count, multiprocessors, rows, columns); };
  // Tiles of 256 by 96 read more for each product: 12 % slower where there are enough of them.
  const int64_t small = time(256, 96) * 9 / 8, tall = time(384, 96);
  if (shape.out_channels % 192 == 0 && shape.planes % 4 == 0 && time(256, 192) <= std::min(small, tall))
    return run<192, 4, 2, false>(shape, count, multiprocessors, stream);
  return tall <= small ? run<96, 6, 3, false>(shape, count, multiprocessors, stream)
                       : run<96, 6, 2, false>(shape, count, multiprocessors, stream);
}

}  // namespace hopper_int8_convolution_cu

cudaError_t launch_int8_causal_convolution(const Int8CausalArguments& a, int multiprocessors, cudaStream_t stream) {
  const ProfilerRange range("vae int8_causal_convolution");
  if (a.count == 0) return cudaSuccess;
  const Shape shape = shape_of(a);
  if (!a.gamma) return run_plain(shape, a.count, multiprocessors, stream);
  // The norm needs all channels of a position in one tile.
  return a.out_channels == 192 ? run<192, 4, 2, true>(shape, a.count, multiprocessors, stream)
                               : run<96, 6, 3, true>(shape, a.count, multiprocessors, stream);
}

}  // namespace flashblock::kernels
