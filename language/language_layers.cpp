#include "language/language_layers.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/record_function.h>
#include <c10/util/DimVector.h>

#include <algorithm>

#include "attention/grouped_heads.h"
#include "core/work_scopes.h"

#ifdef FLASHBLOCK_CUDA
#include "attention/cuda_launch.h"
#include "language/kernels/few_row_product.h"
#include "language/kernels/text_layer_kernels.h"
#endif

namespace flashblock {
namespace {

#ifdef FLASHBLOCK_CUDA
// Contiguous bfloat16 on a GPU, in steps of 16 bytes.
bool kernels_take(const at::Tensor& x) {
  return x.is_cuda() && x.scalar_type() == at::kBFloat16 && x.is_contiguous() && x.size(-1) % 8 == 0 &&
         reinterpret_cast<uintptr_t>(x.const_data_ptr()) % 16 == 0;
}

int64_t rows_of(const at::Tensor& x) { return x.numel() / x.size(-1); }

bool is_few_row_product(const at::Tensor& x, int64_t rows, const at::Tensor& weight) {
  return kernels_take(x) && kernels_take(weight) && few_row_product_takes(rows, weight.size(1), weight.size(0));
}

at::Tensor output(at::IntArrayRef shape, const at::TensorOptions& options, at::Tensor* reused) {
  if (reused && reused->defined() && reused->sizes() == shape) return *reused;
  at::Tensor result = at::empty(shape, options);
  if (reused) *reused = result;
  return result;
}

// Of the shape of x with its last dimension replaced.
at::Tensor output_rows(const at::Tensor& x, int64_t width, at::Tensor* reused) {
  c10::DimVector shape(x.sizes());
  shape.back() = width;
  return output(shape, x.options(), reused);
}

void launch_product(FewRowProduct product, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& out) {
  product.x = x.const_data_ptr();
  product.weight = weight.const_data_ptr();
  product.out = out.data_ptr();
  product.depth = weight.size(1);
  product.columns = weight.size(0);
  launch(launch_few_row_product, product, x, "few_row_product");
}

at::Tensor few_row_product(const at::Tensor& x, const at::Tensor& weight, ProductOutput form, at::Tensor* reused) {
  const int64_t columns = form == ProductOutput::kSwiglu ? weight.size(0) / 2 : weight.size(0);
  at::Tensor out = output_rows(x, columns, reused);
  launch_product({.output = form, .rows = rows_of(x)}, x, weight, out);
  return out;
}

NormedSum add_norm_by_kernel(const at::Tensor& x, const Update& update, const at::Tensor& weight, double eps,
                             NormedSum* reused) {
  const bool adds = update.rounded.defined() || update.sums.defined();
  NormedSum result{adds ? output(x.sizes(), x.options(), reused ? &reused->sum : nullptr) : x,
                   output(x.sizes(), x.options(), reused ? &reused->normed : nullptr)};
  const AddNormArguments arguments{.x = x.const_data_ptr(),
                                   .update = update.rounded.defined() ? update.rounded.const_data_ptr() : nullptr,
                                   .sums = update.sums.defined() ? update.sums.const_data_ptr<float>() : nullptr,
                                   .weight = weight.const_data_ptr(),
                                   .sum = adds ? result.sum.data_ptr() : nullptr,
                                   .normed = result.normed.data_ptr(),
                                   .rows = rows_of(x),
                                   .width = x.size(-1),
                                   .slices = update.sums.defined() ? update.sums.size(0) : 0,
                                   .eps = float(eps)};
  launch(launch_add_norm, arguments, x, "add_norm");
  return result;
}

bool heads_kernel_takes(const at::Tensor& projected, const HeadNorms& norms, const KeyRange& staged) {
  const at::Tensor& keys = staged.keys;
  return kernels_take(projected) && keys.size(3) == kTextHeadWidth && keys.stride(2) == keys.size(3) &&
         keys.stride(1) == keys.size(2) * keys.size(3) && keys.strides() == staged.values.strides() &&
         norms.q_norm.is_contiguous() && norms.k_norm.is_contiguous() && norms.rotation.cosine.is_contiguous() &&
         norms.rotation.sine.is_contiguous();
}

at::Tensor stage_heads_by_kernel(const at::Tensor& projected, const HeadNorms& norms, int64_t attending,
                                 const KeyRange& staged) {
  const int64_t kv_heads = staged.keys.size(2), heads = projected.size(-1) / kTextHeadWidth - 2 * kv_heads;
  at::Tensor q;
  if (attending > 0)
    q = at::empty({projected.size(0), attending * heads / kv_heads, kv_heads, kTextHeadWidth}, projected.options());
  const TextHeadsArguments arguments{.projected = projected.const_data_ptr(),
                                     .q_norm = norms.q_norm.const_data_ptr(),
                                     .k_norm = norms.k_norm.const_data_ptr(),
                                     .cosine = norms.rotation.cosine.const_data_ptr<float>(),
                                     .sine = norms.rotation.sine.const_data_ptr<float>(),
                                     .q = q.defined() ? q.data_ptr() : nullptr,
                                     .keys = staged.keys.data_ptr(),
                                     .values = staged.values.data_ptr(),
                                     .cache_batch_stride = staged.keys.stride(0),
                                     .batch = projected.size(0),
                                     .tokens = projected.size(1),
                                     .attending = attending,
                                     .heads = heads,
                                     .kv_heads = kv_heads,
                                     .eps = float(norms.eps)};
  launch(launch_text_heads, arguments, projected, "text_heads");
  return q;
}

at::Tensor swiglu_by_kernel(const at::Tensor& gate_up) {
  at::Tensor out = output_rows(gate_up, gate_up.size(-1) / 2, nullptr);
  launch(launch_swiglu, SwigluArguments{gate_up.const_data_ptr(), out.data_ptr(), rows_of(out), out.size(-1)}, gate_up,
         "swiglu");
  return out;
}
#endif

// Rotation writes the rows in their grouped order.
at::Tensor rotated_queries(const at::Tensor& x, const HeadNorms& norms, const Rotation& rotation, int64_t kv_heads) {
  const int64_t group = x.size(-1) / norms.q_norm.size(0) / kv_heads;
  const at::Tensor heads = x.unflatten(-1, {kv_heads, group, norms.q_norm.size(0)});  // [B, L, K, G, D]
  return apply_rope_halves(text_rms_norm(heads, norms.q_norm, norms.eps).transpose(2, 3), rotation).flatten(1, 2);
}

}  // namespace

at::Tensor select_rows(const at::Tensor& table, const std::vector<int64_t>& rows) {
#ifdef FLASHBLOCK_CUDA
  const auto count = static_cast<int64_t>(rows.size());
  if (kernels_take(table) && count <= kMostGatheredRows) {
    at::Tensor out = at::empty({count, table.size(1)}, table.options());
    GatherRowsArguments arguments{table.const_data_ptr(), out.data_ptr(), count, table.size(1), {}};
    std::ranges::copy(rows, arguments.from);
    launch(launch_gather_rows, arguments, table, "gather_rows");
    return out;
  }
#endif
  return table.index_select(0, at::tensor(rows, at::kLong).to(table.device()));
}

at::Tensor project(const at::Tensor& x, const at::Tensor& weight, [[maybe_unused]] at::Tensor* reused) {
  RECORD_USER_SCOPE(kLinearScope);
#ifdef FLASHBLOCK_CUDA
  if (product_slices(weight.size(1)) == 1 && is_few_row_product(x, rows_of(x), weight))
    return few_row_product(x, weight, ProductOutput::kRounded, reused);
#endif
  return at::linear(x, weight);
}

at::Tensor project(const at::Tensor& x, const Projections& weights, at::Tensor* reused) {
  if (weights.size() == 1) return project(x, weights.front(), reused);
  std::vector<at::Tensor> parts;
  parts.reserve(weights.size());
  for (const at::Tensor& weight : weights) parts.push_back(project(x, weight));
  return at::cat(parts, -1);
}

at::Tensor project_heads(const at::Tensor& attended, const at::Tensor& weight, int64_t group,
                         [[maybe_unused]] at::Tensor* reused) {
#ifdef FLASHBLOCK_CUDA
  const int64_t rows = attended.size(0) * attended.size(1) / group;
  if (attended.size(3) == kTextHeadWidth && product_slices(weight.size(1)) == 1 &&
      is_few_row_product(attended, rows, weight)) {
    RECORD_USER_SCOPE(kLinearScope);
    at::Tensor out = output({attended.size(0), attended.size(1) / group, weight.size(0)}, attended.options(), reused);
    launch_product({.output = ProductOutput::kRounded, .rows = rows, .kv_heads = attended.size(2), .group = group},
                   attended, weight, out);
    return out;
  }
#endif
  return project(ungroup_queries(attended, group).flatten(2), weight);
}

at::Tensor project_swiglu(const at::Tensor& x, const Projections& gate_up, [[maybe_unused]] at::Tensor* reused) {
#ifdef FLASHBLOCK_CUDA
  if (gate_up.size() == 1 && product_slices(gate_up.front().size(1)) == 1 &&
      is_few_row_product(x, rows_of(x), gate_up.front())) {
    RECORD_USER_SCOPE(kLinearScope);
    return few_row_product(x, gate_up.front(), ProductOutput::kSwiglu, reused);
  }
#endif
  return swiglu(project(x, gate_up));
}

Update project_update(const at::Tensor& x, const at::Tensor& weight, at::Tensor* reused) {
#ifdef FLASHBLOCK_CUDA
  const int64_t slices = product_slices(weight.size(1));
  if (slices > 1 && is_few_row_product(x, rows_of(x), weight)) {
    RECORD_USER_SCOPE(kLinearScope);
    c10::DimVector shape(x.sizes());
    shape.insert(shape.begin(), slices);
    shape.back() = weight.size(0);
    Update update{{}, output(shape, x.options().dtype(at::kFloat), reused)};
    launch_product({.output = ProductOutput::kSums, .rows = rows_of(x)}, x, weight, update.sums);
    return update;
  }
#endif
  return {project(x, weight, reused), {}};
}

NormedSum add_text_norm(const at::Tensor& x, const Update& update, const at::Tensor& weight, double eps,
                        [[maybe_unused]] NormedSum* reused) {
#ifdef FLASHBLOCK_CUDA
  if (kernels_take(x) && kernels_take(weight) && x.size(-1) <= kLongestTextRow &&
      (!update.rounded.defined() || kernels_take(update.rounded)))
    return add_norm_by_kernel(x, update, weight, eps, reused);
#endif
  at::Tensor sum = x;
  if (update.rounded.defined()) sum = x + update.rounded;
  if (update.sums.defined()) sum = x + update.sums.sum(0).to(x.scalar_type());
  return {sum, text_rms_norm(sum, weight, eps)};
}

at::Tensor text_rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor scale = wide.square().mean(-1, /*keepdim=*/true).add_(eps).rsqrt_();
  return (wide * scale).mul_(weight.to(at::kFloat)).to(x.scalar_type());
}

at::Tensor swiglu(const at::Tensor& gate_up) {
#ifdef FLASHBLOCK_CUDA
  if (kernels_take(gate_up) && gate_up.size(-1) % 16 == 0) return swiglu_by_kernel(gate_up);
#endif
  const auto parts = gate_up.chunk(2, -1);
  return at::silu(parts[0]) * parts[1];
}

at::Tensor stage_heads(const at::Tensor& projected, const HeadNorms& norms, int64_t attending, const KeyRange& staged) {
#ifdef FLASHBLOCK_CUDA
  if (heads_kernel_takes(projected, norms, staged)) return stage_heads_by_kernel(projected, norms, attending, staged);
#endif
  const int64_t kv_heads = staged.keys.size(2), width = staged.keys.size(3), kv_width = kv_heads * width;
  const auto parts = projected.split_with_sizes({projected.size(-1) - 2 * kv_width, kv_width, kv_width}, -1);
  const at::Tensor keys = text_rms_norm(parts[1].unflatten(-1, {kv_heads, width}), norms.k_norm, norms.eps);
  staged.keys.copy_(apply_rope_halves(keys, norms.rotation));
  staged.values.copy_(parts[2].unflatten(-1, {kv_heads, width}));
  if (attending == 0) return {};
  const Rotation rotation{norms.rotation.cosine.narrow(0, 0, attending), norms.rotation.sine.narrow(0, 0, attending)};
  return rotated_queries(parts[0].narrow(1, 0, attending), norms, rotation, kv_heads);
}

}  // namespace flashblock
