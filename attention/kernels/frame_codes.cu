#include "attention/kernels/frame_codes.h"
#include "attention/kernels/vector8.cuh"

namespace flashblock {
inline namespace frame_codes_cu {

constexpr int kCodeThreads = 256;

__device__ inline float widened(float x) { return x; }
__device__ inline float widened(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ inline void round_to(float x, float& to) { to = x; }
__device__ inline void round_to(float x, __nv_bfloat16& to) { to = __float2bfloat16_rn(x); }

/// The larger of two numbers that are not negative; NaN if one of them is.
__device__ inline float larger_or_nan(float a, float b) { return a > b || isnan(a) ? a : b; }

/// Eight neighboring numbers of a row, which `width / 8` neighboring threads share.
struct CodedVector {
  __device__ explicit CodedVector(const FrameCodesArguments& a)
      : lanes(int(a.width) / 8), index(int64_t(blockIdx.x) * kCodeThreads + threadIdx.x), row(index / lanes) {
    valid = row < a.rows;
    const int64_t mean_row = row / a.frame_rows * a.heads + row % a.heads;
    mean = (mean_row * lanes + index % lanes) * 8;
  }

  int lanes;
  int64_t index, row, mean;
  bool valid;
};

template <typename T>
__global__ void __launch_bounds__(kCodeThreads) quantise_frames_kernel(FrameCodesArguments a) {
  const CodedVector at(a);
  Vector8 x{};
  float largest = 0;
  if (at.valid) {
    x = load8(static_cast<const T*>(a.x) + at.index * 8);
    const Vector8 mean = load8(static_cast<const T*>(a.means) + at.mean);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      x.x[i] -= mean.x[i];
      largest = larger_or_nan(largest, fabsf(x.x[i]));
    }
  }
  for (int offset = at.lanes / 2; offset > 0; offset /= 2)
    largest = larger_or_nan(largest, __shfl_xor_sync(0xffffffffu, largest, offset));
  if (!at.valid) return;
  T step;
  round_to(largest * (1.0f / 127.0f), step);
  const float wide = widened(step), inverse = wide == 0.0f ? 0.0f : 1.0f / wide;
  if (at.index % at.lanes == 0) static_cast<T*>(a.steps)[at.row] = step;
  alignas(8) int8_t codes[8];
#pragma unroll
  for (int i = 0; i < 8; ++i)
    codes[i] = static_cast<int8_t>(min(127, max(-127, __float2int_rn(x.x[i] * inverse))));  // NaN: 0
  *reinterpret_cast<uint2*>(a.codes + at.index * 8) = *reinterpret_cast<const uint2*>(codes);
}

template <typename T>
__global__ void __launch_bounds__(kCodeThreads) dequantise_frames_kernel(FrameCodesArguments a) {
  const CodedVector at(a);
  if (!at.valid) return;
  alignas(8) int8_t codes[8];
  *reinterpret_cast<uint2*>(codes) = *reinterpret_cast<const uint2*>(a.codes + at.index * 8);
  const float step = widened(static_cast<const T*>(a.steps)[at.row]);
  Vector8 x = load8(static_cast<const T*>(a.means) + at.mean);
#pragma unroll
  for (int i = 0; i < 8; ++i) x.x[i] = __fadd_rn(__fmul_rn(float(codes[i]), step), x.x[i]);
  store8(static_cast<T*>(a.x) + at.index * 8, x);
}

/// A thread for each vector.
cudaError_t run_over_codes(void (*float32)(FrameCodesArguments), void (*bfloat16)(FrameCodesArguments),
                           const FrameCodesArguments& a, cudaStream_t stream) {
  if (a.rows == 0) return cudaSuccess;
  const int64_t blocks = (a.rows * (a.width / 8) + kCodeThreads - 1) / kCodeThreads;
  const auto kernel = a.element == Element::kFloat32 ? float32 : bfloat16;
  kernel<<<unsigned(blocks), kCodeThreads, 0, stream>>>(a);
  return cudaGetLastError();
}

}  // namespace frame_codes_cu

cudaError_t launch_quantise_frames(const FrameCodesArguments& a, cudaStream_t stream) {
  return run_over_codes(quantise_frames_kernel<float>, quantise_frames_kernel<__nv_bfloat16>, a, stream);
}

cudaError_t launch_dequantise_frames(const FrameCodesArguments& a, cudaStream_t stream) {
  return run_over_codes(dequantise_frames_kernel<float>, dequantise_frames_kernel<__nv_bfloat16>, a, stream);
}

}  // namespace flashblock
