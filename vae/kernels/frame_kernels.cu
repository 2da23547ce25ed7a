#include <cuda_bf16.h>

#include "vae/kernels/frame_kernels.h"
#include "vae/kernels/profiler_range.h"

namespace flashblock::kernels {
inline namespace frame_kernels_cu {

constexpr int kThreads = 256;
constexpr int kVectorBytes = 16;

template <typename T>
constexpr int kVector = kVectorBytes / static_cast<int>(sizeof(T));

/// Sixteen bytes of elements, widened to float32.
template <typename T>
struct Pack {
  float values[kVector<T>];

  __device__ static Pack load(const T* p) {
    T raw[kVector<T>];
    *reinterpret_cast<uint4*>(raw) = *reinterpret_cast<const uint4*>(p);
    Pack pack;
#pragma unroll
    for (int i = 0; i < kVector<T>; ++i) pack.values[i] = static_cast<float>(raw[i]);
    return pack;
  }

  __device__ void store(T* p) const {
    T raw[kVector<T>];
#pragma unroll
    for (int i = 0; i < kVector<T>; ++i) raw[i] = static_cast<T>(values[i]);
    *reinterpret_cast<uint4*>(p) = *reinterpret_cast<const uint4*>(raw);
  }

  __device__ void add(const float* p) {
#pragma unroll
    for (int i = 0; i < kVector<T>; i += 4) {
      const float4 four = *reinterpret_cast<const float4*>(p + i);
      values[i] += four.x, values[i + 1] += four.y, values[i + 2] += four.z, values[i + 3] += four.w;
    }
  }
};

template <typename T>
__device__ float silu(float x) {
  if constexpr (sizeof(T) == sizeof(float)) return x / (1.0f + expf(-x));
  return __fdividef(x, 1.0f + __expf(-x));
}

/// Lines of bordered frames are thread blocks' rows; a grid has up to kGridRows of them in y, the rest in z.
constexpr int64_t kGridRows = 32768;
__device__ int64_t line_of_block() { return blockIdx.y + static_cast<int64_t>(blockIdx.z) * gridDim.y; }

/// Rows of the norm's output and input for a position in the thread block's part of the output. Input -1: the border.
template <bool kBordered>
__device__ void find_rows(const NormArguments& a, int64_t position, int64_t& out_row, int64_t& in_row) {
  if constexpr (!kBordered) {
    out_row = in_row = position;
    return;
  }
  const int64_t line = line_of_block(), height = a.bordered_height, width = a.bordered_width;
  const int64_t y = line % (height + 2) - 1, x = position - 1;
  out_row = line * (width + 2) + position;
  in_row = y < 0 || y >= height || x < 0 || x >= width ? -1 : (line / (height + 2) * height + y) * width + x;
}

/// `group` neighbouring threads, a power of two up to 32, share a row; each holds kPacks packs of it in registers.
template <typename T, int kPacks, bool kBordered>
__global__ void rms_norm_kernel(NormArguments a, int group) {
  const int64_t thread = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  // A position beyond the last takes part in the shuffles.
  const int64_t positions = kBordered ? a.bordered_width + 2 : a.rows, wanted = thread / group;
  const int lane = static_cast<int>(thread % group);
  if (kBordered && line_of_block() * positions >= a.rows) return;  // whole thread blocks
  int64_t row, source;
  find_rows<kBordered>(a, min(wanted, positions - 1), row, source);
  const bool border = kBordered && source < 0;
  const T* in = static_cast<const T*>(a.in) + (border ? 0 : source) * a.channels;
  Pack<T> x[kPacks];
  float squares = 0.0f;
#pragma unroll
  for (int k = 0; k < kPacks; ++k) {
    const int c = (k * group + lane) * kVector<T>;
    x[k] = Pack<T>::load(in + c);
    if (a.bias) x[k].add(a.bias + c);
#pragma unroll
    for (int i = 0; i < kVector<T>; ++i) squares += x[k].values[i] * x[k].values[i];
  }
  for (int offset = group / 2; offset > 0; offset /= 2) squares += __shfl_xor_sync(0xffffffffu, squares, offset);
  if (wanted >= positions) return;
  const float factor = sqrtf(static_cast<float>(a.channels)) / fmaxf(sqrtf(squares), 1e-12f);
  T* out = static_cast<T*>(a.out) + row * a.channels;
#pragma unroll
  for (int k = 0; k < kPacks; ++k) {
    const int c = (k * group + lane) * kVector<T>;
    float gamma[kVector<T>];
#pragma unroll
    for (int i = 0; i < kVector<T>; i += 4)
      *reinterpret_cast<float4*>(gamma + i) = *reinterpret_cast<const float4*>(a.gamma + c + i);
#pragma unroll
    for (int i = 0; i < kVector<T>; ++i) {
      const float y = x[k].values[i] * (factor * gamma[i]);
      x[k].values[i] = border ? 0.0f : a.silu ? silu<T>(y) : y;
    }
    x[k].store(out + c);
  }
}

/// Any width: a warp per row, element by element.
template <typename T, bool kBordered>
__global__ void rms_norm_any_kernel(NormArguments a) {
  const int64_t position = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / 32;
  const int lane = threadIdx.x % 32;
  if (position >= (kBordered ? a.bordered_width + 2 : a.rows)) return;  // whole warps
  int64_t row, source;
  find_rows<kBordered>(a, position, row, source);
  if (row >= a.rows) return;
  const bool border = kBordered && source < 0;
  const T* in = static_cast<const T*>(a.in) + (border ? 0 : source) * a.channels;
  float squares = 0.0f;
  for (int64_t c = lane; c < a.channels; c += 32) {
    const float x = static_cast<float>(in[c]) + (a.bias ? a.bias[c] : 0.0f);
    squares += x * x;
  }
  for (int offset = 16; offset > 0; offset /= 2) squares += __shfl_xor_sync(0xffffffffu, squares, offset);
  const float factor = sqrtf(static_cast<float>(a.channels)) / fmaxf(sqrtf(squares), 1e-12f);
  for (int64_t c = lane; c < a.channels; c += 32) {
    const float x = static_cast<float>(in[c]) + (a.bias ? a.bias[c] : 0.0f);
    const float y = x * (factor * a.gamma[c]);
    static_cast<T*>(a.out)[row * a.channels + c] = static_cast<T>(border ? 0.0f : a.silu ? silu<T>(y) : y);
  }
}

template <typename T>
__global__ void add_border_kernel(BorderArguments b) {
  const int64_t line = line_of_block();
  if (line >= b.frames * b.frames_per_frame * (b.height + 2)) return;
  const int packs = static_cast<int>(b.channels / kVector<T>);
  const int64_t pack = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (pack >= (b.width + 2) * packs) return;
  const int64_t frame = line / (b.height + 2), y = line % (b.height + 2) - 1, x = pack / packs - 1;
  const int64_t t = frame / b.frames_per_frame, c = frame % b.frames_per_frame * b.channels + pack % packs * kVector<T>;
  Pack<T> values{};
  if (y >= 0 && y < b.height && x >= 0 && x < b.width) {
    const int64_t position = (t * b.height + y) * b.width + x;
    values = Pack<T>::load(static_cast<const T*>(b.in) + position * b.frames_per_frame * b.channels + c);
    if (b.bias) values.add(b.bias + c);
  }
  values.store(static_cast<T*>(b.out) + (line * (b.width + 2) * packs + pack) * kVector<T>);
}

template <typename T>
__global__ void add_biased_kernel(AddArguments a) {
  const int64_t packs_per_row = a.channels / kVector<T>;
  const int64_t pack = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (pack >= a.rows * packs_per_row) return;
  T* sum = static_cast<T*>(a.sum) + pack * kVector<T>;
  Pack<T> x = Pack<T>::load(sum);
  const Pack<T> y = Pack<T>::load(static_cast<const T*>(a.addend) + pack * kVector<T>);
#pragma unroll
  for (int i = 0; i < kVector<T>; ++i) x.values[i] += y.values[i];
  x.add(a.bias + pack % packs_per_row * kVector<T>);
  x.store(sum);
}

/// One block row per line of pixels of the result; threads run along the line.
template <typename T>
__global__ void interleave_phases_kernel(PhaseArguments p) {
  const int64_t line = line_of_block();
  if (line >= p.frames * 2 * p.rows) return;
  const int packs = static_cast<int>(p.channels / kVector<T>);
  const int64_t pack = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (pack >= 2 * p.columns * packs) return;
  const int64_t x = pack / packs, c = pack % packs * kVector<T>;
  const int64_t frame = line / (2 * p.rows), y = line % (2 * p.rows), a = y % 2, b = x % 2;
  const int64_t position = (frame * (p.rows + 1) + y / 2 + a) * (p.columns + 1) + x / 2 + b;
  Pack<T> values = Pack<T>::load(static_cast<const T*>(p.phases) + (position * 4 + 2 * a + b) * p.channels + c);
  if (p.bias) values.add(p.bias + (2 * a + b) * p.channels + c);
  values.store(static_cast<T*>(p.out) + (line * 2 * p.columns + x) * p.channels + c);
}

template <typename T>
__global__ void gather_taps_kernel(GatherArguments g) {
  const int64_t pixels = g.rows * g.columns, positions = (g.frames + 2) * pixels;
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= g.frames * pixels) return;
  const int64_t frame = index / pixels, pixel = index % pixels, row = pixel / g.columns, column = pixel % g.columns;
  const T* contributions = static_cast<const T*>(g.contributions) + index;  // tap (0, 1, 1) of colour 0
  float colours[3] = {g.bias[0], g.bias[1], g.bias[2]};
#pragma unroll
  for (int tap = 0; tap < 27; ++tap) {
    const int dt = tap / 9, dy = tap / 3 % 3 - 1, dx = tap % 3 - 1;
    if (row + dy < 0 || row + dy >= g.rows || column + dx < 0 || column + dx >= g.columns) continue;
    const T* at_tap = contributions + 3 * tap * positions + dt * pixels + dy * g.columns + dx;
#pragma unroll
    for (int colour = 0; colour < 3; ++colour) colours[colour] += static_cast<float>(at_tap[colour * positions]);
  }
#pragma unroll
  for (int colour = 0; colour < 3; ++colour) g.out[(frame * 3 + colour) * pixels + pixel] = colours[colour];
}

unsigned blocks_for(int64_t threads) { return static_cast<unsigned>((threads + kThreads - 1) / kThreads); }

/// Thread blocks in x for the threads of one line, lines in y and z.
dim3 grid_of_lines(int64_t threads_per_line, int64_t lines) {
  return {blocks_for(threads_per_line), static_cast<unsigned>(lines < kGridRows ? lines : kGridRows),
          static_cast<unsigned>((lines + kGridRows - 1) / kGridRows)};
}

template <typename T, bool kBordered>
void run_rms_norm(const NormArguments& a, cudaStream_t stream) {
  const int64_t packs = a.channels % kVector<T> == 0 ? a.channels / kVector<T> : 0;
  int group = 1;
  while (packs > 0 && group < 32 && packs % (2 * group) == 0) group *= 2;
  const auto grid_for = [&](int threads) {
    const int64_t line = a.bordered_width + 2;
    return kBordered ? grid_of_lines(line * threads, a.rows / line) : dim3(blocks_for(a.rows * threads));
  };
  const dim3 blocks = grid_for(group);
  switch (packs / group) {
    case 1:
      return rms_norm_kernel<T, 1, kBordered><<<blocks, kThreads, 0, stream>>>(a, group);
    case 2:
      return rms_norm_kernel<T, 2, kBordered><<<blocks, kThreads, 0, stream>>>(a, group);
    case 3:
      return rms_norm_kernel<T, 3, kBordered><<<blocks, kThreads, 0, stream>>>(a, group);
    case 4:
      return rms_norm_kernel<T, 4, kBordered><<<blocks, kThreads, 0, stream>>>(a, group);
    default:
      return rms_norm_any_kernel<T, kBordered><<<grid_for(32), kThreads, 0, stream>>>(a);
  }
}

template <typename T>
void run_interleave_phases(const PhaseArguments& p, cudaStream_t stream) {
  const int64_t lines = p.frames * 2 * p.rows, packs = 2 * p.columns * p.channels / kVector<T>;
  interleave_phases_kernel<T><<<grid_of_lines(packs, lines), kThreads, 0, stream>>>(p);
}

}  // namespace frame_kernels_cu

cudaError_t launch_rms_norm(const NormArguments& arguments, Element element, cudaStream_t stream) {
  const ProfilerRange range("vae rms_norm");
  if (arguments.rows == 0) return cudaSuccess;
  const bool bordered = arguments.bordered_height > 0;
  if (element == Element::kFloat32)
    bordered ? run_rms_norm<float, true>(arguments, stream) : run_rms_norm<float, false>(arguments, stream);
  else
    bordered ? run_rms_norm<__nv_bfloat16, true>(arguments, stream)
             : run_rms_norm<__nv_bfloat16, false>(arguments, stream);
  return cudaGetLastError();
}

cudaError_t launch_add_border(const BorderArguments& arguments, Element element, cudaStream_t stream) {
  const ProfilerRange range("vae add_border");
  if (arguments.frames == 0) return cudaSuccess;
  const int64_t lines = arguments.frames * arguments.frames_per_frame * (arguments.height + 2);
  const int64_t elements = (arguments.width + 2) * arguments.channels;
  if (element == Element::kFloat32)
    add_border_kernel<float><<<grid_of_lines(elements / kVector<float>, lines), kThreads, 0, stream>>>(arguments);
  else
    add_border_kernel<__nv_bfloat16>
        <<<grid_of_lines(elements / kVector<__nv_bfloat16>, lines), kThreads, 0, stream>>>(arguments);
  return cudaGetLastError();
}

cudaError_t launch_add_biased(const AddArguments& arguments, Element element, cudaStream_t stream) {
  const ProfilerRange range("vae add_biased");
  const int64_t elements = arguments.rows * arguments.channels;
  if (elements == 0) return cudaSuccess;
  if (element == Element::kFloat32)
    add_biased_kernel<float><<<blocks_for(elements / kVector<float>), kThreads, 0, stream>>>(arguments);
  else
    add_biased_kernel<__nv_bfloat16><<<blocks_for(elements / kVector<__nv_bfloat16>), kThreads, 0, stream>>>(arguments);
  return cudaGetLastError();
}

cudaError_t launch_interleave_phases(const PhaseArguments& arguments, Element element, cudaStream_t stream) {
  const ProfilerRange range("vae interleave_phases");
  if (arguments.frames == 0) return cudaSuccess;
  element == Element::kFloat32 ? run_interleave_phases<float>(arguments, stream)
                               : run_interleave_phases<__nv_bfloat16>(arguments, stream);
  return cudaGetLastError();
}

cudaError_t launch_gather_taps(const GatherArguments& arguments, Element element, cudaStream_t stream) {
  const ProfilerRange range("vae gather_taps");
  const int64_t pixels = arguments.frames * arguments.rows * arguments.columns;
  if (pixels == 0) return cudaSuccess;
  if (element == Element::kFloat32)
    gather_taps_kernel<float><<<blocks_for(pixels), kThreads, 0, stream>>>(arguments);
  else
    gather_taps_kernel<__nv_bfloat16><<<blocks_for(pixels), kThreads, 0, stream>>>(arguments);
  return cudaGetLastError();
}

}  // namespace flashblock::kernels
