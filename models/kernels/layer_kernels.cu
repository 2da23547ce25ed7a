#include "attention/kernels/vector8.cuh"
#include "models/kernels/layer_kernels.h"

namespace flashblock {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
// Vectors of 8 that one thread keeps in registers: rows of up to 8192.
constexpr int kVectors = int(kLongestRow / 8 / kThreads);

// Sum over the threads of a thread block; every thread gets it.
__device__ float block_sum(float x) {
  __shared__ float partial[kWarps];
  for (int offset = 16; offset > 0; offset /= 2) x += __shfl_xor_sync(0xffffffffu, x, offset);
  __syncthreads();  // an earlier sum may still be read
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = x;
  __syncthreads();
  float sum = 0;
  for (int i = 0; i < kWarps; ++i) sum += partial[i];
  return sum;
}

// One thread block per row.
template <typename T>
__global__ void norm_rope_kernel(NormRopeArguments a) {
  const int64_t row = blockIdx.x, token = row % a.tokens, batch = row / a.tokens;
  const T* x = static_cast<const T*>(a.x) + row * a.x_row_stride;
  T* out = static_cast<T*>(a.out) + batch * a.out_batch_stride + token * a.out_token_stride;
  Vector8 kept[kVectors];
  float squares = 0;
#pragma unroll
  for (int i = 0; i < kVectors; ++i) {
    const int64_t column = (int64_t(i) * kThreads + threadIdx.x) * 8;
    if (column >= a.width) break;
    kept[i] = load8(x + column);
#pragma unroll
    for (int j = 0; j < 8; ++j) squares += kept[i].x[j] * kept[i].x[j];
  }
  const float inverse = 1.0f / sqrtf(block_sum(squares) / float(a.width) + a.eps);
#pragma unroll
  for (int i = 0; i < kVectors; ++i) {
    const int64_t column = (int64_t(i) * kThreads + threadIdx.x) * 8;
    if (column >= a.width) break;
    const Vector8 weight = load8(static_cast<const T*>(a.weight) + column);
    Vector8 v = kept[i];
#pragma unroll
    for (int j = 0; j < 8; ++j) v.x[j] = rounded<T>(rounded<T>(v.x[j] * inverse) * weight.x[j]);
    if (a.cosine) {
      const int64_t pair = token * (a.head_dim / 2) + column % a.head_dim / 2;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const float c = a.cosine[pair + j], s = a.sine[pair + j], re = v.x[2 * j], im = v.x[2 * j + 1];
        v.x[2 * j] = re * c - im * s;
        v.x[2 * j + 1] = re * s + im * c;
      }
    }
    store8(out + column, v);
  }
}

template <typename T>
__global__ void modulated_norm_kernel(ModulatedNormArguments a) {
  const T* x = static_cast<const T*>(a.x) + int64_t(blockIdx.x) * a.width;
  T* out = static_cast<T*>(a.out) + int64_t(blockIdx.x) * a.width;
  Vector8 kept[kVectors];
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kVectors; ++i) {
    const int64_t column = (int64_t(i) * kThreads + threadIdx.x) * 8;
    if (column >= a.width) break;
    kept[i] = load8(x + column);
#pragma unroll
    for (int j = 0; j < 8; ++j) sum += kept[i].x[j];
  }
  const float mean = block_sum(sum) / float(a.width);
  float squares = 0;
#pragma unroll
  for (int i = 0; i < kVectors; ++i) {
    if ((int64_t(i) * kThreads + threadIdx.x) * 8 >= a.width) break;
#pragma unroll
    for (int j = 0; j < 8; ++j) squares += (kept[i].x[j] - mean) * (kept[i].x[j] - mean);
  }
  const float inverse = 1.0f / sqrtf(block_sum(squares) / float(a.width) + a.eps);
#pragma unroll
  for (int i = 0; i < kVectors; ++i) {
    const int64_t column = (int64_t(i) * kThreads + threadIdx.x) * 8;
    if (column >= a.width) break;
    const Vector8 scale = load8(static_cast<const T*>(a.scale) + column);
    const Vector8 shift = load8(static_cast<const T*>(a.shift) + column);
    Vector8 v;
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      const float normed = rounded<T>((kept[i].x[j] - mean) * inverse);
      v.x[j] = rounded<T>(normed * scale.x[j]) + shift.x[j];
    }
    store8(out + column, v);
  }
}

template <typename T>
__global__ void gated_sum_kernel(GatedSumArguments a, int64_t vectors) {
  const int64_t index = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= vectors) return;
  T* x = static_cast<T*>(a.x) + index * 8;
  Vector8 v = load8(x);
  const Vector8 update = load8(static_cast<const T*>(a.update) + index * 8);
  const Vector8 gate = load8(static_cast<const T*>(a.gate) + index * 8 % a.width);
#pragma unroll
  for (int j = 0; j < 8; ++j) v.x[j] += rounded<T>(update.x[j] * gate.x[j]);
  store8(x, v);
}

}  // namespace

cudaError_t launch_norm_rope(const NormRopeArguments& a, cudaStream_t stream) {
  const unsigned rows = unsigned(a.batch * a.tokens);
  if (a.element == Element::kFloat32)
    norm_rope_kernel<float><<<rows, kThreads, 0, stream>>>(a);
  else
    norm_rope_kernel<__nv_bfloat16><<<rows, kThreads, 0, stream>>>(a);
  return cudaGetLastError();
}

cudaError_t launch_modulated_norm(const ModulatedNormArguments& a, cudaStream_t stream) {
  if (a.element == Element::kFloat32)
    modulated_norm_kernel<float><<<unsigned(a.rows), kThreads, 0, stream>>>(a);
  else
    modulated_norm_kernel<__nv_bfloat16><<<unsigned(a.rows), kThreads, 0, stream>>>(a);
  return cudaGetLastError();
}

cudaError_t launch_gated_sum(const GatedSumArguments& a, cudaStream_t stream) {
  const int64_t vectors = a.rows * a.width / 8;
  const unsigned blocks = unsigned((vectors + kThreads - 1) / kThreads);
  if (a.element == Element::kFloat32)
    gated_sum_kernel<float><<<blocks, kThreads, 0, stream>>>(a, vectors);
  else
    gated_sum_kernel<__nv_bfloat16><<<blocks, kThreads, 0, stream>>>(a, vectors);
  return cudaGetLastError();
}

}  // namespace flashblock
