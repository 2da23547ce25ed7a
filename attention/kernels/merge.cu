#include "attention/kernels/merge.h"
#include "attention/kernels/vector8.cuh"
#include "attention/kernels/vector_launch.cuh"

namespace flashblock {
inline namespace merge_cu {

// Each thread merges kVectors vectors of eight values, each of one query and head. Divisions are 32-bit: 64-bit ones
// take longer than the memory accesses.
template <typename T>
__global__ void merge_kernel(MergeArguments a, uint32_t vectors) {
  const uint32_t per_row = uint32_t(a.width) / 8, heads = uint32_t(a.heads), queries = uint32_t(a.queries);
  const T* external_output = static_cast<const T*>(a.external);
  T* internal_output = static_cast<T*>(a.internal);
  uint32_t index[kVectors], at[kVectors];
  Vector8 e[kVectors], v[kVectors];
  float external[kVectors], internal[kVectors];
  kernels::allow_next_kernel();
  kernels::wait_for_kernels_in_front();
#pragma unroll
  for (int i = 0; i < kVectors; ++i) {
    index[i] = (blockIdx.x * kVectors + i) * kThreads + threadIdx.x;
    if (index[i] >= vectors) continue;
    const uint32_t row = index[i] / per_row, token = row / heads, batch = token / queries;
    at[i] = (batch * heads + row - token * heads) * queries + token - batch * queries;
    e[i] = load8(external_output + int64_t(index[i]) * 8);
    v[i] = load8(internal_output + int64_t(index[i]) * 8);
    external[i] = a.external_lse[at[i]];
    internal[i] = a.internal_lse[at[i]];
  }
#pragma unroll
  for (int i = 0; i < kVectors; ++i) {
    if (index[i] >= vectors) continue;
    // sigmoid(external - internal); rows over no keys have weight 0, so two of them leave the internal row unchanged.
    const float weight = external[i] == -INFINITY ? 0.0f : 1.0f / (1.0f + expf(internal[i] - external[i]));
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      const float difference = e[i].x[j] - v[i].x[j];
      // From the nearer end, so that weights 0 and 1 give exactly one of the two.
      v[i].x[j] = weight < 0.5f ? v[i].x[j] + weight * difference : e[i].x[j] - (1.0f - weight) * difference;
    }
    store8(internal_output + int64_t(index[i]) * 8, v[i]);
    if (index[i] % per_row == 0) {
      const float largest = fmaxf(external[i], internal[i]);
      a.merged_lse[at[i]] =
          largest == -INFINITY ? largest : largest + log1pf(expf(fminf(external[i], internal[i]) - largest));
    }
  }
}

}  // namespace merge_cu

cudaError_t launch_merge(const MergeArguments& a, cudaStream_t stream) {
  return launch_over_vectors(merge_kernel<float>, merge_kernel<__nv_bfloat16>, a, stream);
}

}  // namespace flashblock
