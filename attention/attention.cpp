#include "attention/attention.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/record_function.h>

#include <cmath>
#include <tuple>
#include <utility>

#include "attention/attention_kernel.h"
#include "attention/element_of.h"
#include "attention/kernels/cpu_attention.h"
#include "attention/vector_rows.h"
#include "core/check.h"
#include "core/work_scopes.h"

#ifdef FLASHBLOCK_CUDA
#include "attention/cuda_launch.h"
#include "attention/kernels/capability.h"
#include "attention/kernels/few_query_attention.h"
#endif

namespace flashblock {
namespace {

void check_inputs(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  FB_CHECK(q.dim() == 4 && k.dim() == 4 && k.sizes() == v.sizes() && q.size(0) == k.size(0) && q.size(2) == k.size(2) &&
               q.size(3) == k.size(3) && k.size(1) > 0,
           "q ", q.sizes(), ", k ", k.sizes(), ", v ", v.sizes());
  FB_CHECK(q.device() == k.device() && q.device() == v.device() && q.scalar_type() == k.scalar_type() &&
               q.scalar_type() == v.scalar_type(),
           "q, k and v differ in device or dtype");
}

#ifdef FLASHBLOCK_CUDA
// Output [B, N, L, D] and, if requested, lse [B, N, L] from the fastest kernel for this GPU. The choice follows
// measurements (docs/attention_library.md) and is not timed at run time, which would change the video's bits from run
// to run. On Hopper cuDNN takes 0.57 to 0.71 of flash attention's time at every shape.
std::tuple<at::Tensor, at::Tensor> cuda_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                                  bool with_lse) {
  at::Tensor output, lse;
  const AttentionKernel kernel = attention_kernel(q.device(), q.scalar_type(), q.size(3));
  if (kernel == AttentionKernel::kEfficient) {
    auto result = at::_scaled_dot_product_efficient_attention(q, k, v, {}, with_lse);
    output = std::get<0>(result);
    if (with_lse) lse = std::get<1>(result).narrow(-1, 0, q.size(2));  // rows are padded to a multiple of 32
  } else if (kernel == AttentionKernel::kCudnn) {
    auto result = at::_scaled_dot_product_cudnn_attention(q, k, v, {}, with_lse);
    output = std::get<0>(result);
    if (with_lse) lse = std::get<1>(result).reshape({q.size(0), q.size(1), q.size(2)});
  } else {
    auto result = at::_scaled_dot_product_flash_attention(q, k, v);
    output = std::get<0>(result);
    lse = std::get<1>(result);
  }
  return {output, lse};
}

// Few queries, as in the decoding of text. The other kernels give a tile of queries of a head to one multiprocessor,
// and cuDNN makes a plan, of milliseconds, for each new number of keys.
bool few_query_kernel_takes(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  return q.is_cuda() && q.scalar_type() == at::kBFloat16 && q.size(3) == kFewQueryHeadWidth &&
         q.size(1) <= kFewQueries && q.size(0) * q.size(2) <= 65535 &&
         compute_capability_major(q.device().index()) >= 8 && has_vector_rows(q) && has_vector_rows(k) &&
         has_vector_rows(v);
}

FewQueryAttention few_query_call(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const auto input = [](const at::Tensor& x) {
    return FewQueryAttention::Input{x.const_data_ptr(), x.stride(0), x.stride(1), x.stride(2)};
  };
  return {
      .q = input(q),
      .k = input(k),
      .v = input(v),
      .output = nullptr,
      .lse = nullptr,
      .partial = nullptr,
      .batch = q.size(0),
      .heads = q.size(2),
      .queries = q.size(1),
      .keys = k.size(1),
      .parts = few_query_parts(q.size(0), q.size(2), q.size(1), k.size(1), multiprocessor_count(q.device().index())),
      .scale = float(1 / std::sqrt(double(q.size(3))))};
}

// The output; its log-sum-exp goes where the call says.
at::Tensor few_query_attention(FewQueryAttention call, const at::Tensor& q) {
  const at::Tensor output = at::empty(q.sizes(), q.options().memory_format(at::MemoryFormat::Contiguous));
  call.output = output.data_ptr();
  at::Tensor partial;
  if (call.partial_floats() > 0) {
    partial = at::empty({call.partial_floats()}, q.options().dtype(at::kFloat));
    call.partial = partial.data_ptr<float>();
  }
  launch(launch_few_query_attention, call, q, "few_query_attention");
  return output;
}

AttentionState few_query_state(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  FewQueryAttention call = few_query_call(q, k, v);
  const at::Tensor lse = at::empty({q.size(0), q.size(2), q.size(1)}, q.options().dtype(at::kFloat));
  call.lse = lse.data_ptr<float>();
  return {few_query_attention(call, q), lse};
}

// Number of equal parts to split the keys into. The kernels give each tile of queries of a head to one multiprocessor,
// so few queries over many keys leave most of them idle, and the last round of many tiles leaves some: 4680 queries of
// 12 heads are 444 tiles, three and a third rounds of an H200. Each part adds tiles, and costs a merge. Times on an
// H200 follow this model where it promises a tenth or more (28080 keys: 1.54 ms in one part, 1.40 in two); below, they
// do not (40 heads: 4.76 and 4.88 ms).
int64_t key_parts(const at::Tensor& q, int64_t keys) {
  constexpr int64_t kTileQueries = 128;
  if (q.size(0) != 1) return 1;
  const int64_t tiles = q.size(2) * ((q.size(1) + kTileQueries - 1) / kTileQueries);
  const int64_t processors = multiprocessor_count(q.device().index());
  const bool idle = tiles < processors;
  if (!idle && (compute_capability_major(q.device().index()) != 9 || q.scalar_type() == at::kFloat)) return 1;
  const int64_t least_keys = idle ? 2048 : 4096;
  const double merge_cost = idle ? 0.02 : 300.0 / double(keys);  // relative to the time over all keys
  const auto rounds = [&](int64_t parts) {
    const int64_t count = (tiles * parts + processors - 1) / processors;
    return double(count);
  };
  int64_t best = 1;
  double least = idle ? 1 : 0.9;
  for (int64_t parts = 2; parts <= keys / least_keys; ++parts) {
    if (keys % parts != 0) continue;
    const double cost = rounds(parts) / (double(parts) * rounds(1)) + merge_cost * double(parts - 1);
    if (cost < least) best = parts, least = cost;
  }
  return best;
}

// Attention to all parts of the keys as one batch, then merged.
AttentionState attention_in_parts(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, int64_t parts) {
  const auto split = [&](const at::Tensor& x) { return x[0].unflatten(0, {parts, -1}).transpose(1, 2); };
  const at::Tensor queries = q.expand({parts, -1, -1, -1}).transpose(1, 2);
  auto [output, lse] = cuda_attention(queries, split(k), split(v), true);
  output = output.transpose(1, 2);
  AttentionState all;
  for (int64_t part = 0; part < parts; ++part)
    all = merge({output.narrow(0, part, 1), lse.narrow(0, part, 1)}, std::move(all));
  return all;
}

// Every head is one sequence of a variable-length batch; unselected heads have no keys. Source: LibTorch's flash
// attention ends a tile without keys before it loads anything.
AttentionState flash_attention_of_masked(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                         const at::Tensor& mask) {
  const int64_t batch = q.size(0), queries = q.size(1), heads = q.size(2), keys = k.size(1), sequences = batch * heads;
  const auto flat = [](const at::Tensor& x) { return x.transpose(1, 2).reshape({-1, 1, x.size(3)}); };
  const auto offsets = [&](int64_t length) {
    return at::arange(0, (sequences + 1) * length, length, q.options().dtype(at::kInt));
  };
  const at::Tensor used_keys = (mask.to(at::kInt) * keys).repeat({batch});
  const auto result = at::_flash_attention_forward(flat(q), flat(k), flat(v), offsets(queries), offsets(keys), queries,
                                                   keys, 0.0, false, false, {}, {}, {}, used_keys);
  return {std::get<0>(result).view({batch, heads, queries, q.size(3)}).transpose(1, 2).contiguous(),
          std::get<1>(result).view({batch, heads, queries})};
}
#endif

CpuAttention::Input input_of(const at::Tensor& x) { return {x.data_ptr(), x.stride(0), x.stride(1), x.stride(2)}; }

AttentionState cpu_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  AttentionState state{at::empty(q.sizes(), q.options()),
                       at::empty({q.size(0), q.size(2), q.size(1)}, q.options().dtype(at::kFloat))};
  CpuAttention call{.element = element_of(q),
                    .q = input_of(q),
                    .k = input_of(k),
                    .v = input_of(v),
                    .output = state.output.data_ptr(),
                    .lse = state.lse.data_ptr<float>(),
                    .packed_keys = nullptr,
                    .packed_values = nullptr,
                    .batch = q.size(0),
                    .heads = q.size(2),
                    .queries = q.size(1),
                    .keys = k.size(1),
                    .width = q.size(3),
                    .scale = float(1 / std::sqrt(double(q.size(3))))};
  const at::Tensor packed_keys = at::empty({call.packed_elements()}, k.options());
  const at::Tensor packed_values = at::empty({call.packed_elements()}, v.options());
  call.packed_keys = packed_keys.data_ptr();
  call.packed_values = packed_values.data_ptr();
  at::parallel_for(0, call.pack_units(), 4, [&](int64_t begin, int64_t end) { pack_keys_values(call, begin, end); });
  at::parallel_for(0, call.query_units(), 1, [&](int64_t begin, int64_t end) { attend_queries(call, begin, end); });
  return state;
}

AttentionState fastest_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                 [[maybe_unused]] bool with_lse) {
  RECORD_USER_SCOPE(kAttentionScope);
  check_inputs(q, k, v);
#ifdef FLASHBLOCK_CUDA
  if (few_query_kernel_takes(q, k, v)) return few_query_state(q, k, v);
#endif
  // The kernels take [B, N, L, D] with any strides, so these are views.
  const at::Tensor qt = q.transpose(1, 2), kt = k.transpose(1, 2), vt = v.transpose(1, 2);
#ifdef FLASHBLOCK_CUDA
  if (q.is_cuda()) {
    if (const int64_t parts = key_parts(q, k.size(1)); parts > 1) return attention_in_parts(q, k, v, parts);
    auto [output, lse] = cuda_attention(qt, kt, vt, with_lse);
    return {output.transpose(1, 2), lse};
  }
#endif
  if (attention_kernel(q.device(), q.scalar_type(), q.size(3)) == AttentionKernel::kAvx512)
    return cpu_attention(q, k, v);
  auto [output, lse] = at::_scaled_dot_product_flash_attention_for_cpu(qt, kt, vt);
  return {output.transpose(1, 2), lse};
}

}  // namespace

AttentionKernel attention_kernel(at::Device device, at::ScalarType dtype, int64_t head_width) {
#ifdef FLASHBLOCK_CUDA
  if (device.is_cuda()) {
    if (dtype == at::kFloat) return AttentionKernel::kEfficient;
    return compute_capability_major(device.index()) == 9 ? AttentionKernel::kCudnn : AttentionKernel::kFlash;
  }
#endif
  static_cast<void>(device);
  const bool known = dtype == at::kFloat || dtype == at::kBFloat16;
  const Element element = dtype == at::kFloat ? Element::kFloat32 : Element::kBfloat16;
  return known && cpu_attention_available(element, head_width) ? AttentionKernel::kAvx512 : AttentionKernel::kPlainCpu;
}

std::string_view describe(AttentionKernel kernel) {
  switch (kernel) {
    case AttentionKernel::kCudnn:
      return "cuDNN";
    case AttentionKernel::kFlash:
      return "LibTorch's flash attention";
    case AttentionKernel::kEfficient:
      return "LibTorch's memory-efficient attention";
    case AttentionKernel::kAvx512:
      return "own, AVX-512";
    case AttentionKernel::kPlainCpu:
      break;
  }
  return "LibTorch's flash attention for CPUs";
}

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
#ifdef FLASHBLOCK_CUDA
  if (q.is_cuda()) return merged_attention({}, q, k, v);
#endif
  return fastest_attention(q, k, v, false).output;
}

AttentionState attention_with_lse(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  return fastest_attention(q, k, v, true);
}

bool merges_in_one_pass([[maybe_unused]] const at::Tensor& q, [[maybe_unused]] const at::Tensor& k,
                        [[maybe_unused]] const at::Tensor& v) {
#ifdef FLASHBLOCK_CUDA
  return few_query_kernel_takes(q, k, v);
#else
  return false;
#endif
}

at::Tensor merged_attention(const AttentionState& external, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v) {
  check_inputs(q, k, v);
#ifdef FLASHBLOCK_CUDA
  if (few_query_kernel_takes(q, k, v) &&
      (external.empty() || (external.output.sizes() == q.sizes() && external.output.is_contiguous() &&
                            external.lse.is_contiguous() && external.output.scalar_type() == q.scalar_type()))) {
    RECORD_USER_SCOPE(kAttentionScope);
    FewQueryAttention call = few_query_call(q, k, v);
    if (!external.empty()) {
      call.external = external.output.const_data_ptr();
      call.external_lse = external.lse.const_data_ptr<float>();
    }
    return few_query_attention(call, q);
  }
#endif
  return merge(external, fastest_attention(q, k, v, !external.empty())).output;
}

at::Tensor attention_with_hidden_keys(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                      const HiddenKeys& hidden) {
  check_inputs(q, k, v);
  FB_CHECK(hidden.keys < k.size(1), hidden.keys, " hidden keys of ", k.size(1));
#ifdef FLASHBLOCK_CUDA
  if (few_query_kernel_takes(q, k, v)) {
    RECORD_USER_SCOPE(kAttentionScope);
    FewQueryAttention call = few_query_call(q, k, v);
    call.late_query = hidden.first_query;
    call.hidden_keys = hidden.keys;
    return few_query_attention(call, q);
  }
#endif
  const int64_t late = q.size(1) - hidden.first_query, seen = k.size(1) - hidden.keys;
  const at::Tensor early = hidden.first_query > 0 ? attention(q.narrow(1, 0, hidden.first_query), k, v) : at::Tensor();
  if (late == 0) return early;
  const at::Tensor rest =
      attention(q.narrow(1, hidden.first_query, late), k.narrow(1, hidden.keys, seen), v.narrow(1, hidden.keys, seen));
  return early.defined() ? at::cat({early, rest}, 1) : rest;
}

AttentionState attention_of_masked_heads(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                         [[maybe_unused]] const at::Tensor& mask) {
#ifdef FLASHBLOCK_CUDA
  check_inputs(q, k, v);
  if (q.is_cuda() && q.scalar_type() != at::kFloat) return flash_attention_of_masked(q, k, v, mask);
#endif
  return attention_with_lse(q, k, v);
}

AttentionState attention_by_matrix_products(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  check_inputs(q, k, v);
  const at::ScalarType wide = q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor qt = q.transpose(1, 2).to(wide), kt = k.transpose(1, 2).to(wide), vt = v.transpose(1, 2).to(wide);
  const at::Tensor scores = at::matmul(qt, kt.transpose(-2, -1)) / std::sqrt(double(q.size(3)));  // [B, N, L, S]
  const at::Tensor output = at::matmul(at::softmax(scores, -1), vt).transpose(1, 2);
  return {output.to(q.scalar_type()).contiguous(), at::logsumexp(scores, -1)};
}

}  // namespace flashblock
