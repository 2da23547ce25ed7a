#include "attention/kernels/merge.h"
#include "attention/kernels/vector8.cuh"

namespace flashblock {
namespace {

constexpr int kThreads = 256;

// One thread merges eight values of one query and head.
template <typename T>
__global__ void merge_kernel(MergeArguments a, int64_t vectors) {
  const int64_t index = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= vectors) return;
  const int64_t per_row = a.width / 8, row = index / per_row;
  const int64_t head = row % a.heads, query = row / a.heads % a.queries, batch = row / a.heads / a.queries;
  const int64_t at = (batch * a.heads + head) * a.queries + query;
  const float external = a.external_lse[at], internal = a.internal_lse[at];
  // sigmoid(external - internal); rows over no keys weigh nothing, and two of them leave the internal row as it is.
  const float weight = external == -INFINITY ? 0.0f : 1.0f / (1.0f + expf(internal - external));
  const Vector8 e = load8(static_cast<const T*>(a.external) + index * 8);
  T* out = static_cast<T*>(a.internal) + index * 8;
  Vector8 v = load8(out);
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const float difference = e.x[i] - v.x[i];
    // From the nearer end, so that the weights 0 and 1 give exactly one of the two.
    v.x[i] = weight < 0.5f ? v.x[i] + weight * difference : e.x[i] - (1.0f - weight) * difference;
  }
  store8(out, v);
  if (index % per_row == 0) {
    const float largest = fmaxf(external, internal);
    a.merged_lse[at] = largest == -INFINITY ? largest : largest + log1pf(expf(fminf(external, internal) - largest));
  }
}

}  // namespace

cudaError_t launch_merge(const MergeArguments& a, cudaStream_t stream) {
  const int64_t vectors = a.batch * a.queries * a.heads * a.width / 8;
  const unsigned blocks = unsigned((vectors + kThreads - 1) / kThreads);
  if (a.element == MergeArguments::Element::kFloat32)
    merge_kernel<float><<<blocks, kThreads, 0, stream>>>(a, vectors);
  else
    merge_kernel<__nv_bfloat16><<<blocks, kThreads, 0, stream>>>(a, vectors);
  return cudaGetLastError();
}

}  // namespace flashblock
