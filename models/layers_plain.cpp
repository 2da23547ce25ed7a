#include "models/layers_plain.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

namespace flashblock::plain {

at::Tensor gelu_(at::Tensor x) { return at::gelu_(x, "tanh"); }

at::Tensor modulated_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale, double eps) {
  return at::layer_norm(x, {x.size(-1)}, {}, {}, eps).mul_(scale).add_(shift);
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const at::Tensor wide = x.to(at::kFloat);
  return (wide * at::rsqrt(at::mean(wide * wide, -1, true) + eps)).to(x.scalar_type()) * weight;
}

void rms_norm_rope_out(at::Tensor out, const at::Tensor& x, const at::Tensor& weight, double eps,
                       const Rotation& rotation) {
  out.copy_(apply_rope(rms_norm(x, weight, eps).view(out.sizes()), rotation));
}

void add_gated_(at::Tensor& x, at::Tensor update, const at::Tensor& gate) { x.add_(update.mul_(gate)); }

}  // namespace flashblock::plain
