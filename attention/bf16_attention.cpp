#include "attention/bf16_attention.h"

#include <ATen/Functions.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <cstdint>

#include "attention/attention.h"
#include "attention/vector_rows.h"
#include "core/check.h"
#include "core/work_scopes.h"

#ifdef FLASHBLOCK_CUDA
#include "attention/cuda_launch.h"
#include "attention/kernels/capability.h"
#include "attention/kernels/hopper_bf16_attention.h"
#endif

namespace flashblock {

#ifdef FLASHBLOCK_CUDA
namespace {

AttentionState by_kernel(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  AttentionState state{at::empty(q.sizes(), q.options().memory_format(at::MemoryFormat::Contiguous)),
                       at::empty({q.size(0), q.size(2), q.size(1)}, q.options().dtype(at::kFloat))};
  const auto input = [](const at::Tensor& x) {
    return Bf16AttentionArguments::Input{x.const_data_ptr(), x.stride(0), x.stride(1), x.stride(2)};
  };
  Bf16AttentionArguments call{.q = input(q),
                              .k = input(k),
                              .v = input(v),
                              .out = state.output.data_ptr(),
                              .lse = state.lse.data_ptr<float>(),
                              .workspace = nullptr,
                              .batch = q.size(0),
                              .heads = q.size(2),
                              .queries = q.size(1),
                              .keys = k.size(1),
                              .multiprocessors = multiprocessor_count(q.device().index())};
  const at::Tensor workspace = at::empty({bf16_attention_workspace(call)}, q.options().dtype(at::kByte));
  call.workspace = workspace.data_ptr();
  launch(launch_bf16_attention, call, q, "bf16_attention");
  return state;
}

}  // namespace
#endif

bool has_bf16_attention(at::Device device, at::ScalarType dtype, int64_t head_width) {
#ifdef FLASHBLOCK_CUDA
  return device.is_cuda() && dtype == at::kBFloat16 && head_width == kBf16AttentionWidth &&
         compute_capability_major(device.index()) == 9;
#else
  static_cast<void>(device), static_cast<void>(dtype), static_cast<void>(head_width);
  return false;
#endif
}

AttentionState bf16_attention_with_lse(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  FB_CHECK(q.dim() == 4 && k.dim() == 4 && k.sizes() == v.sizes() && q.size(0) == k.size(0) && q.size(2) == k.size(2) &&
               q.size(3) == k.size(3) && k.size(1) > 0 && k.options().type_equal(q.options()) &&
               v.options().type_equal(q.options()),
           "q ", q.sizes(), ", k ", k.sizes(), ", v ", v.sizes());
#ifdef FLASHBLOCK_CUDA
  constexpr int64_t kMostTokens = int64_t{1} << 30;
  const int64_t heads = q.size(0) * q.size(2);
  if (has_bf16_attention(q.device(), q.scalar_type(), q.size(3)) &&
      heads * std::max(q.size(1), k.size(1)) < kMostTokens && has_vector_rows(q) && has_vector_rows(k) &&
      has_vector_rows(v)) {
    RECORD_USER_SCOPE(kAttentionScope);
    return by_kernel(q, k, v);
  }
#endif
  return attention_with_lse(q, k, v);
}

}  // namespace flashblock
