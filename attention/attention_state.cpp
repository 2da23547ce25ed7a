#include "attention/attention_state.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include "core/check.h"

#ifdef FLASHBLOCK_CUDA
#include "attention/cuda_launch.h"
#include "attention/element_of.h"
#include "attention/kernels/merge.h"
#endif

namespace flashblock {
namespace {

#ifdef FLASHBLOCK_CUDA
bool kernel_takes(const AttentionState& state) {
  return state.output.is_cuda() && state.output.is_contiguous() && state.lse.is_contiguous() &&
         state.output.size(3) % 8 == 0 &&
         (state.output.scalar_type() == at::kFloat || state.output.scalar_type() == at::kBFloat16);
}

AttentionState merge_by_kernel(const AttentionState& external, const AttentionState& internal) {
  const at::Tensor merged_lse = at::empty_like(internal.lse);
  const MergeArguments arguments{element_of(internal.output),
                                 external.output.const_data_ptr(),
                                 external.lse.const_data_ptr<float>(),
                                 internal.output.data_ptr(),
                                 internal.lse.const_data_ptr<float>(),
                                 merged_lse.data_ptr<float>(),
                                 internal.output.size(0),
                                 internal.output.size(1),
                                 internal.output.size(2),
                                 internal.output.size(3)};
  launch(launch_merge, arguments, internal.output, "merge");
  return {internal.output, merged_lse};
}
#endif

}  // namespace

AttentionState merge_by_operators(const AttentionState& external, const AttentionState& internal) {
  // For two rows over no keys the difference is NaN (-inf + inf); any weight is right for them.
  const at::Tensor weight = at::nan_to_num(at::sigmoid(external.lse - internal.lse), 0.0);
  const at::Tensor per_query = weight.transpose(1, 2).unsqueeze(-1);  // [B, L, N, 1]
  const at::Tensor output = at::lerp(internal.output.to(at::kFloat), external.output.to(at::kFloat), per_query);
  return {output.to(internal.output.scalar_type()), at::logaddexp(external.lse, internal.lse)};
}

AttentionState merge(const AttentionState& external, AttentionState internal) {
  if (external.empty()) return internal;
  if (internal.empty()) return external;
  FB_CHECK(external.output.sizes() == internal.output.sizes() && external.lse.sizes() == internal.lse.sizes(),
           "states of different shape: ", external.output.sizes(), " and ", internal.output.sizes());
#ifdef FLASHBLOCK_CUDA
  if (kernel_takes(external) && kernel_takes(internal)) return merge_by_kernel(external, internal);
#endif
  return merge_by_operators(external, internal);
}

}  // namespace flashblock
