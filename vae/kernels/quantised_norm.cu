#include <cuda_bf16.h>

#include "vae/kernels/pack_bytes.cuh"
#include "vae/kernels/profiler_range.h"
#include "vae/kernels/quantised_norm.h"

namespace flashblock::kernels {
inline namespace quantised_norm_cu {

constexpr int kThreads = 256, kVector = 8, kPacks = 3, kPlaneChannels = 16;
constexpr int64_t kGridRows = 32768;  // in y, the rest in z

/// `kGroup` neighbouring threads share a position: thread and pack i have channels 8 (i kGroup + thread) and on.
template <int kGroup>
__global__ void __launch_bounds__(kThreads) quantised_norm_kernel(QuantisedNormArguments a) {
  constexpr int kChannels = kGroup * kPacks * kVector;
  const int64_t line = blockIdx.y + static_cast<int64_t>(blockIdx.z) * gridDim.y;
  if (line >= a.count * (a.height + 2)) return;  // whole thread blocks
  const int lane = threadIdx.x % kGroup, columns = static_cast<int>(a.width) + 2;
  const int column = (static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x)) / kGroup;
  const int64_t frame = line / (a.height + 2), y = line % (a.height + 2) - 1;
  const bool border = y < 0 || y >= a.height || column == 0 || column >= columns - 1;
  const int64_t position = border ? 0 : (frame * a.height + y) * a.width + column - 1;
  const auto* in = static_cast<const __nv_bfloat16*>(a.in) + position * kChannels;
  float x[kPacks][kVector], squares = 0;
#pragma unroll
  for (int i = 0; i < kPacks; ++i) {
    const uint4 raw = __ldg(reinterpret_cast<const uint4*>(in + (i * kGroup + lane) * kVector));
    const auto* pairs = reinterpret_cast<const __nv_bfloat162*>(&raw);
#pragma unroll
    for (int k = 0; k < kVector / 2; ++k) {
      const float2 pair = __bfloat1622float2(pairs[k]);
      x[i][2 * k] = pair.x, x[i][2 * k + 1] = pair.y;
      squares += pair.x * pair.x + pair.y * pair.y;
    }
  }
#pragma unroll
  for (int offset = kGroup / 2; offset > 0; offset /= 2) squares += __shfl_xor_sync(0xffffffffu, squares, offset);
  if (column >= columns) return;
  const float factor = border ? 0.0f : 0.5f * sqrtf(static_cast<float>(kChannels)) / fmaxf(sqrtf(squares), 1e-12f);
  const int64_t plane = (a.height + 2) * columns, place = (y + 1) * columns + column;
  auto* out = static_cast<uint8_t*>(a.out) + frame * kChannels * plane + place * kPlaneChannels;
#pragma unroll
  for (int i = 0; i < kPacks; ++i) {
    const int c = (i * kGroup + lane) * kVector;
    float q[kVector];
#pragma unroll
    for (int k = 0; k < kVector; k += 4) {
      const float4 gamma = __ldg(reinterpret_cast<const float4*>(a.gamma + c + k));
      const float4 inverse = __ldg(reinterpret_cast<const float4*>(a.inverse_steps + c + k));
      const float4 zeros = __ldg(reinterpret_cast<const float4*>(a.zeros + c + k));
      q[k] = fmaf(silu_of_twice(x[i][k] * (factor * gamma.x)), inverse.x, zeros.x);
      q[k + 1] = fmaf(silu_of_twice(x[i][k + 1] * (factor * gamma.y)), inverse.y, zeros.y);
      q[k + 2] = fmaf(silu_of_twice(x[i][k + 2] * (factor * gamma.z)), inverse.z, zeros.z);
      q[k + 3] = fmaf(silu_of_twice(x[i][k + 3] * (factor * gamma.w)), inverse.w, zeros.w);
    }
    *reinterpret_cast<uint2*>(out + c / kPlaneChannels * plane * kPlaneChannels + c % kPlaneChannels) = {
        pack_four(q[0], q[1], q[2], q[3]), pack_four(q[4], q[5], q[6], q[7])};
  }
}

template <int kGroup>
cudaError_t run_quantised_norm(const QuantisedNormArguments& a, cudaStream_t stream) {
  const int64_t lines = a.count * (a.height + 2), rows = lines < kGridRows ? lines : kGridRows;
  const dim3 blocks(static_cast<unsigned>(((a.width + 2) * kGroup + kThreads - 1) / kThreads),
                    static_cast<unsigned>(rows), static_cast<unsigned>((lines + rows - 1) / rows));
  quantised_norm_kernel<kGroup><<<blocks, kThreads, 0, stream>>>(a);
  return cudaGetLastError();
}

}  // namespace quantised_norm_cu

cudaError_t launch_quantised_norm(const QuantisedNormArguments& a, cudaStream_t stream) {
  const ProfilerRange range("vae quantised_norm");
  if (a.count == 0) return cudaSuccess;
  return a.channels == 96    ? run_quantised_norm<4>(a, stream)
         : a.channels == 192 ? run_quantised_norm<8>(a, stream)
         : a.channels == 384 ? run_quantised_norm<16>(a, stream)
                             : cudaErrorInvalidValue;
}

}  // namespace flashblock::kernels
