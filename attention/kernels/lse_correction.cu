#include "attention/kernels/lse_correction.h"
#include "attention/kernels/vector8.cuh"
#include "attention/kernels/vector_launch.cuh"

namespace flashblock {
inline namespace lse_correction_cu {

// width / 8 neighboring threads of a warp, a power of two, share a query and head. Divisions are 32-bit: 64-bit ones
// take longer than the memory accesses.
template <typename T>
__global__ void lse_correction_kernel(LseCorrectionArguments a, uint32_t vectors) {
  const uint32_t per_row = uint32_t(a.width) / 8, heads = uint32_t(a.heads), queries = uint32_t(a.queries);
  const uint32_t mean_keys = uint32_t(a.mean_key_count);
  uint32_t index[kVectors], at[kVectors];
  float change[kVectors];
  kernels::allow_next_kernel();
  kernels::wait_for_kernels_in_front();
#pragma unroll
  for (int i = 0; i < kVectors; ++i) {
    index[i] = (blockIdx.x * kVectors + i) * kThreads + threadIdx.x;
    change[i] = 0;
    if (index[i] >= vectors) continue;  // all threads of a row, or none
    const uint32_t row = index[i] / per_row, token = row / heads, head = row - token * heads;
    const uint32_t batch = token / queries, query = token - batch * queries;
    const uint32_t key = (batch * mean_keys + query % mean_keys) * heads + head;
    at[i] = (batch * heads + head) * queries + query;
    const Vector8 now = load8(static_cast<const T*>(a.now) + int64_t(index[i]) * 8);
    const Vector8 before = load8(static_cast<const T*>(a.before) + int64_t(index[i]) * 8);
    const Vector8 mean =
        load8(static_cast<const T*>(a.mean_keys) + (int64_t(key) * per_row + index[i] - row * per_row) * 8);
#pragma unroll
    for (int j = 0; j < 8; ++j) change[i] += (now.x[j] - before.x[j]) * mean.x[j];
  }
#pragma unroll
  for (int i = 0; i < kVectors; ++i) {
    for (uint32_t offset = per_row / 2; offset > 0; offset /= 2)
      change[i] += __shfl_xor_sync(0xffffffffu, change[i], offset);
    if (index[i] < vectors && index[i] % per_row == 0) a.corrected[at[i]] = a.lse[at[i]] + a.scale * change[i];
  }
}

}  // namespace lse_correction_cu

cudaError_t launch_lse_correction(const LseCorrectionArguments& a, cudaStream_t stream) {
  return launch_over_vectors(lse_correction_kernel<float>, lse_correction_kernel<__nv_bfloat16>, a, stream);
}

}  // namespace flashblock
