#include <cuda_bf16.h>

#include "core/kernels/hopper_steps.cuh"
#include "vae/kernels/hopper_convolution.h"
#include "vae/kernels/hopper_limits.h"
#include "vae/kernels/profiler_range.h"

// Note "Convolution as a matrix product". Positions of a bordered frame, row after row, are the rows of a matrix with C
// columns, and a tap of the convolution is that matrix moved by a constant number of rows. So each tap adds the product
// of moved rows with its weights, and the copy engine needs no index arithmetic. A tile is 256 positions by kColumns
// output channels. A step loads 32 channels of 264 rows once, and uses them for all taps of a line (dx = 0, 1, 2) by
// starting one or two rows later. Sums for positions of the border are not stored. One warp loads, two warpgroups of
// 128 rows each compute; thread blocks take tiles in turn.

namespace flashblock::kernels {
inline namespace hopper_convolution_cu {

constexpr int kTileRows = 256, kBoxRows = 88, kLoadedRows = 3 * kBoxRows, kChannels = kInChannelsMultiple;
constexpr int kThreads = 3 * 128, kRowBytes = kChannels * 2;
constexpr int kRowsBytes = kLoadedRows * kRowBytes;

/// One step of a tile in shared memory: rows of the frames, then weights of a line's taps.
template <int kColumns, int kTaps>
struct Step : hopper::StepMemory<kRowsBytes + kTaps * kColumns * kRowBytes, 1024> {
  static constexpr int kWeightBytes = kColumns * kRowBytes;  ///< of a tap
};

struct Maps {
  CUtensorMap history[2], frames, weights;
};

/// What the kernel knows of a convolution with lines of kTaps taps.
struct Shape {
  int width, height;    ///< without the border
  int row, plane;       ///< positions of a bordered line and frame
  int tiles_per_frame;  ///< in positions
  int column_tiles;     ///< tiles side by side: out channels, and phases when doubling
  int tiles;
  int lines;  ///< lines of taps: 3 x 3, or 2 when doubling
  int in_channels;
  int out_columns;  ///< rows of the weights of one tap
  const float* bias;
  __nv_bfloat16* out;
  bool add;
  int64_t frame_stride, line_stride, position_stride;  ///< of the result, in elements
  int first;                                           ///< position of a frame's first tile
  const float* gamma;                                  ///< norm and SiLU of the sums, into bordered frames; or null
  int tiles_per_phase;                                 ///< doubling only
};

struct Tile {
  int frame, first_row;  ///< first position, relative to the frame
  int columns;           ///< first row of the weights
  int a, b;              ///< phase, when doubling
};

template <int kColumns, int kTaps>
__device__ __forceinline__ Tile tile_at(const Shape& s, int index) {
  const int column_tile = index % s.column_tiles, rest = index / s.column_tiles;
  Tile tile{rest / s.tiles_per_frame, s.first + rest % s.tiles_per_frame * kTileRows, column_tile * kColumns, 0, 0};
  if (kTaps == 2) tile.a = column_tile / s.tiles_per_phase / 2, tile.b = column_tile / s.tiles_per_phase % 2;
  return tile;
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

template <int kColumns, int kTaps>
__device__ __forceinline__ void load_tiles(const Maps& maps, const Shape& s, const hopper::Steps& steps) {
  using S = Step<kColumns, kTaps>;
  hopper::Slot<S::kInFlight> slot{.parity = 1};
  for (int index = blockIdx.x; index < s.tiles; index += gridDim.x) {
    const Tile tile = tile_at<kColumns, kTaps>(s, index);
    for (int line = 0; line < s.lines; ++line) {
      int row = tile.first_row - 1;
      const CUtensorMap* map = &maps.frames;
      if constexpr (kTaps == 3) {
        const int frame = tile.frame + line / 3;
        row += (line % 3 - 1) * s.row;
        if (frame < 2)
          map = &maps.history[frame];
        else
          row += (frame - 2) * s.plane;
      } else {
        row += tile.frame * s.plane + (tile.a + line - 1) * s.row + tile.b;
      }
      for (int channel = 0; channel < s.in_channels; channel += kChannels) {
        uint64_t* full = steps.full + slot.index;
        hopper::wait(steps.empty + slot.index, slot.parity);
        hopper::arrive_and_expect(full, S::kBytes);
        uint8_t* rows = steps.memory + slot.index * S::kBytes;
        for (int box = 0; box < 3; ++box)
          hopper::load_box(rows + box * kBoxRows * kRowBytes, map, channel, row + box * kBoxRows, full);
        for (int tap = 0; tap < kTaps; ++tap)
          hopper::load_box(rows + kRowsBytes + tap * S::kWeightBytes, &maps.weights, channel,
                           (line * kTaps + tap) * s.out_columns + tile.columns, full);
        slot.advance();
      }
    }
  }
}

/// Exchanges within four neighbouring lanes: lane q gets v[q] of lane k as v[k].
__device__ __forceinline__ void transpose_among_four(float2 (&v)[4], int lane) {
#pragma unroll
  for (int step = 1; step < 4; step *= 2) {
    const bool upper = lane & step;
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if (k & step) continue;
      const float2 sent = upper ? v[k] : v[k | step];
      const float2 got{__shfl_xor_sync(0xffffffffu, sent.x, step), __shfl_xor_sync(0xffffffffu, sent.y, step)};
      if (upper)
        v[k] = got;
      else
        v[k | step] = got;
    }
  }
}

/// Adds bias and, if asked, what is there to eight neighbouring channels, and stores them.
__device__ __forceinline__ void store_eight(const float2 (&v)[4], const float* bias, __nv_bfloat16* out, bool add) {
  float sums[8] = {v[0].x, v[0].y, v[1].x, v[1].y, v[2].x, v[2].y, v[3].x, v[3].y};
  if (bias) {
    const float4 low = *reinterpret_cast<const float4*>(bias), high = *reinterpret_cast<const float4*>(bias + 4);
    sums[0] += low.x, sums[1] += low.y, sums[2] += low.z, sums[3] += low.w;
    sums[4] += high.x, sums[5] += high.y, sums[6] += high.z, sums[7] += high.w;
  }
  __nv_bfloat162 pairs[4];
  if (add) {
    *reinterpret_cast<uint4*>(pairs) = *reinterpret_cast<const uint4*>(out);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float2 there = __bfloat1622float2(pairs[i]);
      sums[2 * i] += there.x, sums[2 * i + 1] += there.y;
    }
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) pairs[i] = __floats2bfloat162_rn(sums[2 * i], sums[2 * i + 1]);
  *reinterpret_cast<uint4*>(out) = *reinterpret_cast<const uint4*>(pairs);
}

__device__ __forceinline__ float silu(float x) { return __fdividef(x, 1.0f + __expf(-x)); }

/// Adds the bias to half of a lane's sums, those of one row, and normalises the row, which four lanes hold.
template <int kColumns>
__device__ __forceinline__ void normalise(const Shape& s, float (&sums)[kColumns / 2], int h) {
  const int lane_column = threadIdx.x % 4 * 2;
  float squares = 0;
#pragma unroll
  for (int j = 0; j < kColumns / 8; ++j) {
    float &x = sums[4 * j + 2 * h], &y = sums[4 * j + 2 * h + 1];
    if (s.bias) {
      const float2 bias = *reinterpret_cast<const float2*>(s.bias + 8 * j + lane_column);
      x += bias.x, y += bias.y;
    }
    squares += x * x + y * y;
  }
  squares += __shfl_xor_sync(0xffffffffu, squares, 1);
  squares += __shfl_xor_sync(0xffffffffu, squares, 2);
  const float factor = sqrtf(static_cast<float>(kColumns)) / fmaxf(sqrtf(squares), 1e-12f);
#pragma unroll
  for (int j = 0; j < kColumns / 8; ++j) {
    const float2 gamma = *reinterpret_cast<const float2*>(s.gamma + 8 * j + lane_column);
    sums[4 * j + 2 * h] = silu(sums[4 * j + 2 * h] * (factor * gamma.x));
    sums[4 * j + 2 * h + 1] = silu(sums[4 * j + 2 * h + 1] * (factor * gamma.y));
  }
}

/// Where a lane's eight columns of one row go, and what is done with them.
struct Target {
  __nv_bfloat16* out;
  const float* bias;
  bool stored, zero, add;
};

template <int kTaps>
__device__ __forceinline__ Target target_of(const Shape& s, const Tile& tile, int row, int column) {
  const int y = row / s.row - 1, x = row % s.row - 1;
  const bool inside = x >= 0 && x < s.width && y >= 0 && y < s.height;
  if (s.gamma) {
    __nv_bfloat16* out = s.out + (static_cast<int64_t>(tile.frame) * s.plane + row) * s.out_columns + column;
    return {out, nullptr, row < s.plane, !inside, false};
  }
  __nv_bfloat16* out = s.out + tile.frame * s.frame_stride + y * s.line_stride + x * s.position_stride + column;
  if constexpr (kTaps == 2)  // columns of earlier phases are elsewhere in the result
    out += tile.a * (s.line_stride / 2) + tile.b * (s.position_stride / 2) -
           (2 * tile.a + tile.b) * (s.position_stride / 2);
  return {out, s.bias ? s.bias + column : nullptr, inside, false, s.add};
}

/// Stores a warpgroup's sums of 2 x 64 rows, from `first_row` of the frame on.
template <int kColumns, int kTaps>
__device__ __forceinline__ void store_tile(const Shape& s, const Tile& tile, int first_row,
                                           float (&sums)[2][kColumns / 2]) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x % 128 / 32;
#pragma unroll
  for (int half = 0; half < 4; ++half) {
    const int i = half / 2, h = half % 2;
    const int row = first_row + i * 64 + warp * 16 + h * 8 + lane / 4;
    const Target target = target_of<kTaps>(s, tile, row, tile.columns + lane % 4 * 8);
    if (s.gamma) normalise<kColumns>(s, sums[i], h);
#pragma unroll
    for (int group = 0; group < kColumns / 32; ++group) {
      float2 v[4];
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        const int j = (group * 4 + k) * 4 + h * 2;
        v[k] = {sums[i][j], sums[i][j + 1]};
        if (target.zero) v[k] = {0.0f, 0.0f};
      }
      transpose_among_four(v, lane);
      if (target.stored)
        store_eight(v, target.bias ? target.bias + group * 32 : nullptr, target.out + group * 32, target.add);
    }
  }
}

template <int kColumns, int kTaps>
__device__ __forceinline__ void compute_tiles(const Shape& s, const hopper::Steps& steps) {
  using S = Step<kColumns, kTaps>;
  const int group = threadIdx.x / 128 - 1, count = s.lines * (s.in_channels / kChannels);
  const bool speaks = threadIdx.x % 128 == 0;
  hopper::Slot<S::kInFlight> slot;
  for (int index = blockIdx.x; index < s.tiles; index += gridDim.x) {
    float sums[2][kColumns / 2];
    int last = -1;
    for (int step = 0; step < count; ++step) {
      hopper::wait(steps.full + slot.index, slot.parity);
      const uint8_t* loaded = steps.memory + slot.index * S::kBytes;
      const uint32_t rows = hopper::shared_address(loaded) + group * 128 * kRowBytes;
      const uint32_t weights = hopper::shared_address(loaded + kRowsBytes);
      hopper::begin_products();
#pragma unroll
      for (int tap = 0; tap < kTaps; ++tap)
#pragma unroll
        for (int k = 0; k < kRowBytes; k += 32)
#pragma unroll
          for (int i = 0; i < 2; ++i)
            hopper::MatrixProduct<kColumns>::add(sums[i],
                                                 hopper::matrix_rows_of_64_bytes(rows + (i * 64 + tap) * kRowBytes + k),
                                                 hopper::matrix_rows_of_64_bytes(weights + tap * S::kWeightBytes + k),
                                                 tap == 0 && k == 0 ? step > 0 : 1);
      hopper::commit_products();
      hopper::wait_for_products<1>();
      if (last >= 0 && speaks) hopper::arrive(steps.empty + last);
      last = slot.index;
      slot.advance();
    }
    hopper::wait_for_products<0>();
    if (speaks) hopper::arrive(steps.empty + last);
    const Tile tile = tile_at<kColumns, kTaps>(s, index);
    store_tile<kColumns, kTaps>(s, tile, tile.first_row + group * 128, sums);
  }
}

#endif

template <int kColumns, int kTaps>
__global__ void __launch_bounds__(kThreads, 1)
    bordered_convolution_kernel(const __grid_constant__ Maps maps, const __grid_constant__ Shape s) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  using S = Step<kColumns, kTaps>;
  extern __shared__ uint8_t shared[];
  const hopper::Steps steps = hopper::begin_steps<S>(shared, 2);
  if (threadIdx.x < 128) {
    hopper::give_registers_back<40>();
    if (threadIdx.x == 0) load_tiles<kColumns, kTaps>(maps, s, steps);
  } else {
    hopper::take_registers<232>();
    compute_tiles<kColumns, kTaps>(s, steps);
  }
#endif
}

/// A [rows, channels] matrix of bfloat16, in boxes of [box_rows, kChannels].
bool encode(CUtensorMap& map, const void* matrix, int64_t rows, int64_t channels, int box_rows) {
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(channels), static_cast<cuuint64_t>(rows)};
  const cuuint64_t strides[] = {static_cast<cuuint64_t>(channels) * sizeof(__nv_bfloat16)};
  const cuuint32_t box[] = {kChannels, static_cast<cuuint32_t>(box_rows)};
  return hopper::encode_tensor_map(map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, matrix, sizes, strides, box,
                                   CU_TENSOR_MAP_SWIZZLE_64B);
}

/// Whether tiles of 192 columns take no longer than twice as many of 96, with whole rounds of all multiprocessors.
bool wide_tiles(int64_t tiles_of_192, int multiprocessors) {
  return 2 * hopper::divide_up(tiles_of_192, multiprocessors) <= hopper::divide_up(2 * tiles_of_192, multiprocessors);
}

template <int kColumns, int kTaps>
cudaError_t run(Maps& maps, const Shape& shape, const void* weights, int multiprocessors, cudaStream_t stream) {
  using S = Step<kColumns, kTaps>;
  const int64_t weight_rows = static_cast<int64_t>(shape.lines) * kTaps * shape.out_columns;
  if (!encode(maps.weights, weights, weight_rows, shape.in_channels, kColumns)) return cudaErrorInvalidValue;
  return hopper::launch_over_tiles(bordered_convolution_kernel<kColumns, kTaps>, shape.tiles, multiprocessors, kThreads,
                                   S::kSharedBytes, stream, maps, shape);
}

template <int kTaps>
cudaError_t run_tiles(Maps& maps, Shape& shape, int64_t count, int64_t phase_channels, const void* weights,
                      int multiprocessors, cudaStream_t stream) {
  // First to last position within the border, or with it.
  const int64_t positions = shape.gamma ? shape.plane : static_cast<int64_t>(shape.height) * shape.row - 2;
  shape.first = shape.gamma ? 0 : shape.row + 1;
  shape.tiles_per_frame = static_cast<int>(hopper::divide_up(positions, kTileRows));
  const int64_t column_tiles = shape.out_columns / kOutChannelsMultiple, row_tiles = count * shape.tiles_per_frame;
  // The norm needs all channels of a position in one tile.
  const bool wide = shape.gamma ? phase_channels == 2 * kOutChannelsMultiple
                                : phase_channels % (2 * kOutChannelsMultiple) == 0 &&
                                      wide_tiles(row_tiles * column_tiles / 2, multiprocessors);
  shape.column_tiles = static_cast<int>(wide ? column_tiles / 2 : column_tiles);
  shape.tiles = static_cast<int>(row_tiles * shape.column_tiles);
  shape.tiles_per_phase = shape.column_tiles / 4;
  return wide ? run<192, kTaps>(maps, shape, weights, multiprocessors, stream)
              : run<96, kTaps>(maps, shape, weights, multiprocessors, stream);
}

template <typename Arguments>
Shape shape_of(const Arguments& a) {
  Shape shape{};
  shape.width = static_cast<int>(a.width), shape.height = static_cast<int>(a.height);
  shape.row = shape.width + 2, shape.plane = (shape.height + 2) * shape.row;
  shape.in_channels = static_cast<int>(a.in_channels);
  shape.bias = a.bias;
  shape.out = static_cast<__nv_bfloat16*>(a.out);
  return shape;
}

}  // namespace hopper_convolution_cu

cudaError_t launch_causal_convolution(const CausalArguments& a, int multiprocessors, cudaStream_t stream) {
  const ProfilerRange range("vae causal_convolution");
  if (a.count == 0) return cudaSuccess;
  Shape shape = shape_of(a);
  Maps maps{};
  if (!encode(maps.history[0], a.history[0], shape.plane, a.in_channels, kBoxRows) ||
      !encode(maps.history[1], a.history[1], shape.plane, a.in_channels, kBoxRows) ||
      !encode(maps.frames, a.frames, a.count * shape.plane, a.in_channels, kBoxRows))
    return cudaErrorInvalidValue;
  shape.lines = 9, shape.out_columns = static_cast<int>(a.out_channels), shape.add = a.add;
  shape.gamma = a.gamma;
  shape.position_stride = a.out_channels, shape.line_stride = a.width * shape.position_stride;
  shape.frame_stride = a.height * shape.line_stride;
  return run_tiles<3>(maps, shape, a.count, a.out_channels, a.weights, multiprocessors, stream);
}

cudaError_t launch_doubling_convolution(const DoublingArguments& a, int multiprocessors, cudaStream_t stream) {
  const ProfilerRange range("vae doubling_convolution");
  if (a.count == 0) return cudaSuccess;
  Shape shape = shape_of(a);
  Maps maps{};
  if (!encode(maps.frames, a.frames, a.count * shape.plane, a.in_channels, kBoxRows)) return cudaErrorInvalidValue;
  shape.lines = 2, shape.out_columns = static_cast<int>(4 * a.out_channels);
  shape.position_stride = 2 * a.out_channels, shape.line_stride = 2 * a.width * shape.position_stride;
  shape.frame_stride = a.height * shape.line_stride;
  return run_tiles<2>(maps, shape, a.count, a.out_channels, a.weights, multiprocessors, stream);
}

}  // namespace flashblock::kernels
