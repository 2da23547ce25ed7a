#include "language/language_layers.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/record_function.h>

#include "core/work_scopes.h"

namespace flashblock {

at::Tensor project(const at::Tensor& x, const at::Tensor& weight) {
  RECORD_USER_SCOPE(kLinearScope);
  return at::linear(x, weight);
}

at::Tensor project(const at::Tensor& x, const Projections& weights) {
  if (weights.size() == 1) return project(x, weights.front());
  std::vector<at::Tensor> parts;
  parts.reserve(weights.size());
  for (const at::Tensor& weight : weights) parts.push_back(project(x, weight));
  return at::cat(parts, -1);
}

at::Tensor text_rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor scale = wide.square().mean(-1, /*keepdim=*/true).add_(eps).rsqrt_();
  return (wide * scale).mul_(weight.to(at::kFloat)).to(x.scalar_type());
}

at::Tensor swiglu(const at::Tensor& gate_up) {
  const auto parts = gate_up.chunk(2, -1);
  return at::silu(parts[0]) * parts[1];
}

at::Tensor rotated_keys(const at::Tensor& x, const at::Tensor& norm, double eps, const Rotation& rotation) {
  const at::Tensor heads = x.unflatten(-1, {-1, norm.size(0)});
  return apply_rope_halves(text_rms_norm(heads, norm, eps), rotation);
}

// Rotation writes the rows in their grouped order.
at::Tensor rotated_queries(const at::Tensor& x, const at::Tensor& norm, double eps, const Rotation& rotation,
                           int64_t kv_heads) {
  const int64_t group = x.size(-1) / norm.size(0) / kv_heads;
  const at::Tensor heads = x.unflatten(-1, {kv_heads, group, norm.size(0)});  // [B, L, K, G, D]
  return apply_rope_halves(text_rms_norm(heads, norm, eps).transpose(2, 3), rotation).flatten(1, 2);
}

}  // namespace flashblock
