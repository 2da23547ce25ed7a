#include "models/layers.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "attention/element_of.h"
#include "core/check.h"
#include "core/work_scopes.h"
#include "models/kernels/layer_kernels.h"
#include "models/layers_plain.h"
#include "models/linear_calibration.h"
#include "models/planned_product.h"

#ifdef FLASHBLOCK_CUDA
#include "attention/cuda_launch.h"
#endif

namespace flashblock {
namespace {

// Elements per thread below which another thread costs more than it saves.
constexpr int64_t kGrain = 1 << 15;

// The CUDA kernels load and store 16 bytes at a time.
bool in_steps_of_16_bytes(const at::Tensor& x) {
  const bool rows = x.dim() < 2 || x.stride(-2) % 8 == 0;
  return x.size(-1) % 8 == 0 && rows && reinterpret_cast<uintptr_t>(x.const_data_ptr()) % 16 == 0;
}

// True if our kernels support rows of this width and type on the device of x.
bool kernels_take(const at::Tensor& x) {
  const bool type = x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16;
  const bool device = x.is_cpu() || (x.is_cuda() && in_steps_of_16_bytes(x));
  return type && device && x.size(-1) <= kLongestRow && x.stride(-1) == 1;
}

// Launches a kernel on the GPU of `tensor`. Builds without CUDA have no such tensor.
#ifdef FLASHBLOCK_CUDA
#define FLASHBLOCK_LAUNCH(launcher, arguments, tensor) launch(launcher, arguments, tensor, #launcher)
#else
#define FLASHBLOCK_LAUNCH(launcher, arguments, tensor) static_cast<void>(arguments)
#endif

template <typename Arguments>
void run_rows(void (*kernel)(const Arguments&, int64_t, int64_t), const Arguments& arguments, int64_t rows,
              int64_t width) {
  at::parallel_for(0, rows, std::max<int64_t>(1, kGrain / width),
                   [&](int64_t begin, int64_t end) { kernel(arguments, begin, end); });
}

// Rows of x are evenly spaced, as those of a slice of a joined projection. Without a weight rows are copied, without a
// rotation not rotated.
NormRopeArguments norm_rope_arguments(const at::Tensor& out, const at::Tensor& x, const at::Tensor& weight, double eps,
                                      const Rotation* rotation, int64_t head_dim) {
  FB_CHECK(x.size(0) == 1 || x.stride(0) == x.size(1) * x.stride(1), "rows of x are not evenly spaced");
  return {.element = element_of(x),
          .x = x.const_data_ptr(),
          .x_row_stride = x.stride(1),
          .weight = weight.defined() ? weight.const_data_ptr() : nullptr,
          .cosine = rotation ? rotation->cosine.const_data_ptr<float>() : nullptr,
          .sine = rotation ? rotation->sine.const_data_ptr<float>() : nullptr,
          .out = out.data_ptr(),
          .out_batch_stride = out.stride(0),
          .out_token_stride = out.stride(1),
          .batch = x.size(0),
          .tokens = x.size(1),
          .width = x.size(2),
          .head_dim = head_dim,
          .eps = float(eps)};
}

void norm_rope(const NormRopeArguments& arguments, const at::Tensor& x) {
  if (x.is_cuda())
    FLASHBLOCK_LAUNCH(launch_norm_rope, (NormRopeParts{{arguments}, 1}), x);
  else
    run_rows(norm_rope_rows, arguments, arguments.batch * arguments.tokens, arguments.width);
}

// True if our kernels can write rows of the width of x into the heads of `out`, which must be contiguous.
bool kernels_split(const at::Tensor& x, const at::Tensor& out) {
  const bool heads_joined = out.stride(2) == out.size(3) && out.stride(3) == 1;
  return kernels_take(x) && heads_joined && out.size(3) % 8 == 0;
}

void write_part(const ProjectionPart& part, const at::Tensor& x, double eps, const Rotation& rotation) {
  if (!part.norm.defined())
    part.out.copy_(x.view(part.out.sizes()));
  else if (kernels_split(x, part.out))
    norm_rope(norm_rope_arguments(part.out, x, part.norm, eps, &rotation, part.out.size(3)), x);
  else
    plain::rms_norm_rope_out(part.out, x, part.norm, eps, rotation);
}

// Arguments of a layer norm besides the rows; update and gate may be undefined.
struct RowNorm {
  NormForm form;
  at::Tensor update, gate, scale, shift;
};

// True if our kernels support x and these arguments.
bool row_norm_takes(const at::Tensor& x, const RowNorm& norm) {
  if (!kernels_take(x) || !x.is_contiguous()) return false;
  if (x.is_cpu()) return norm.form == NormForm::kModulated;
  return std::ranges::all_of(std::array{&norm.update, &norm.gate, &norm.scale, &norm.shift}, [&](const at::Tensor* t) {
    return !t->defined() || (t->scalar_type() == x.scalar_type() && t->is_contiguous() && in_steps_of_16_bytes(*t));
  });
}

LinearInput prepared(const at::Tensor& rows, LinearPrecision precision) {
  return precision == LinearPrecision::kInt8 ? quantise_rows(rows) : LinearInput(rows);
}

LinearInput row_norm(const at::Tensor& x, const RowNorm& norm, double eps, LinearPrecision precision) {
  const auto data = [](const at::Tensor& t) { return t.defined() ? t.const_data_ptr() : nullptr; };
  const bool quantised = precision == LinearPrecision::kInt8 && x.is_cuda();
  const at::Tensor out = at::empty(x.sizes(), quantised ? x.options().dtype(at::kChar) : x.options());
  RowNormArguments arguments{.form = norm.form,
                             .element = element_of(x),
                             .x = x.data_ptr(),
                             .update = data(norm.update),
                             .gate = data(norm.gate),
                             .scale = data(norm.scale),
                             .shift = data(norm.shift),
                             .out = out.data_ptr(),
                             .rows = x.numel() / x.size(-1),
                             .width = x.size(-1),
                             .eps = float(eps)};
  if (!x.is_cuda()) {
    run_rows(modulated_norm_rows, arguments, arguments.rows, arguments.width);
    return prepared(out, precision);
  }
  at::Tensor scales;
  if (quantised) {
    scales = at::empty({arguments.rows}, x.options().dtype(at::kFloat));
    arguments.out = nullptr;
    arguments.values = out.data_ptr<int8_t>();
    arguments.scales = scales.data_ptr<float>();
  }
  FLASHBLOCK_LAUNCH(launch_row_norm, arguments, x);
  return {out, scales};
}

// Calls `work` for the tokens of each frame where frames are modulated differently: `work(x, of)`, `of(t)` being the
// part of t for these tokens or this frame. Returns the outputs joined.
template <typename Work>
at::Tensor frame_by_frame(const at::Tensor& x, int64_t frames, const Work& work) {
  FB_CHECK(x.size(1) % frames == 0, x.size(1), " tokens in ", frames, " frames");
  const int64_t tokens = x.size(1) / frames;
  std::vector<at::Tensor> outputs;
  for (int64_t frame = 0; frame < frames; ++frame) {
    const auto of = [&](const at::Tensor& t) {
      return t.size(1) == frames && frames != x.size(1) ? t.narrow(1, frame, 1) : t.narrow(1, frame * tokens, tokens);
    };
    at::Tensor part = of(x);
    outputs.push_back(work(part, of));
  }
  return outputs.front().defined() ? at::cat(outputs, 1) : at::Tensor();
}

// oneDNN's product is faster for float32 on CPUs than the BLAS that at::linear calls.
at::Tensor onednn_linear(const at::Tensor& x, const Linear& layer) {
  using Signature = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, std::string_view,
                               c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>);
  static const auto product =
      c10::Dispatcher::singleton().findSchemaOrThrow("mkldnn::_linear_pointwise", "").typed<Signature>();
  return product.call(x, layer.weight, layer.bias, "none", c10::List<std::optional<at::Scalar>>(), "");
}

LinearInput quantised_input(const LinearInput& x, const Linear& layer) {
  return x.scales.defined() ? x : quantise_rows(x.values, BeforeQuantising::kNothing, layer.input_factors);
}

}  // namespace

at::Tensor linear(const LinearInput& input, const Linear& layer) {
  RECORD_USER_SCOPE(kLinearScope);
  if (layer.precision() == LinearPrecision::kInt8) return int8_linear(quantised_input(input, layer), layer);
  const at::Tensor& x = input.values;
  if (layer.sample) layer.sample->add(x);
  if (at::Tensor planned = planned_product(x, layer, ProductEpilogue::kBias); planned.defined()) return planned;
  if (x.is_cpu() && x.scalar_type() == at::kFloat && at::globalContext().userEnabledMkldnn() && at::hasMKLDNN())
    return onednn_linear(x, layer);
  return at::linear(x, layer.weight, layer.bias);
}

at::Tensor gelu_(at::Tensor x) {
  if (!x.is_cpu() || !x.is_contiguous() || !kernels_take(x.view({-1, 1}))) return plain::gelu_(x);
  const GeluArguments arguments{element_of(x), x.data_ptr(), x.numel()};
  at::parallel_for(0, x.numel(), kGrain, [&](int64_t begin, int64_t end) { gelu_elements(arguments, begin, end); });
  return x;
}

// Other dtypes are compared with float32, which therefore keeps the GELU whose bits are known.
at::Tensor linear_gelu(const at::Tensor& x, const Linear& layer) {
  if (!x.is_cuda() || x.scalar_type() != at::kBFloat16) return gelu_(linear(x, layer));
  RECORD_USER_SCOPE(kLinearScope);
  if (layer.sample) layer.sample->add(x);
  if (at::Tensor planned = planned_product(x, layer, ProductEpilogue::kGelu); planned.defined()) return planned;
  const at::Tensor rows = x.flatten(0, -2);
  return at::_addmm_activation(layer.bias, rows, layer.weight.t(), 1, 1, /*use_gelu=*/true)
      .unflatten(0, x.sizes().slice(0, size_t(x.dim() - 1)));
}

at::Tensor feed_forward(const LinearInput& x, const Linear& up, const Linear& down) {
  if (up.precision() == LinearPrecision::kNative) return linear(linear_gelu(x.values, up), down);
  RECORD_USER_SCOPE(kLinearScope);
  const at::Tensor hidden = int8_linear(quantised_input(x, up), up);
  return int8_linear(quantise_rows(hidden, BeforeQuantising::kGelu, down.input_factors), down);
}

LinearInput modulated_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale, double eps,
                           LinearPrecision precision) {
  if (shift.size(1) > 1) {
    const at::Tensor normed = frame_by_frame(x, shift.size(1), [&](const at::Tensor& part, const auto& of) {
      return modulated_norm(part, of(shift), of(scale), eps).values;
    });
    return prepared(normed, precision);
  }
  const RowNorm norm{NormForm::kModulated, {}, {}, scale, shift};
  if (row_norm_takes(x, norm)) return row_norm(x, norm, eps, precision);
  return prepared(plain::modulated_norm(x, shift, scale, eps), precision);
}

LinearInput add_modulated_norm(at::Tensor& x, const at::Tensor& update, const at::Tensor& shift,
                               const at::Tensor& scale, double eps, LinearPrecision precision) {
  if (shift.size(1) > 1) return modulated_norm(x.add_(update), shift, scale, eps, precision);
  const RowNorm norm{NormForm::kAddedModulated, update, {}, scale, shift};
  if (row_norm_takes(x, norm)) return row_norm(x, norm, eps, precision);
  return modulated_norm(x.add_(update), shift, scale, eps, precision);
}

LinearInput add_gated_affine_norm(at::Tensor& x, at::Tensor update, const at::Tensor& gate, const Linear& affine,
                                  double eps, LinearPrecision precision) {
  const RowNorm norm{NormForm::kGatedAffine, update, gate, affine.weight, affine.bias};
  if (gate.size(1) == 1 && row_norm_takes(x, norm)) return row_norm(x, norm, eps, precision);
  add_gated_(x, std::move(update), gate);
  return prepared(at::layer_norm(x, {x.size(-1)}, affine.weight, affine.bias, eps), precision);
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  if (!kernels_take(x)) return plain::rms_norm(x, weight, eps);
  const at::Tensor out = at::empty(x.sizes(), x.options());
  norm_rope(norm_rope_arguments(out, x, weight, eps, nullptr, x.size(2)), x);
  return out;
}

void split_projection(const at::Tensor& joined, at::ArrayRef<ProjectionPart> parts, double eps,
                      const Rotation& rotation) {
  FB_CHECK(parts.size() <= 3 && joined.size(-1) % int64_t(parts.size()) == 0, "row of ", joined.size(-1), " for ",
           parts.size(), " parts");
  const auto slices = joined.chunk(int64_t(parts.size()), -1);
  NormRopeParts launched{.part = {}, .count = 0};
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto& [out, norm] = parts[i];
    if (!joined.is_cuda() || !kernels_split(slices[i], out))
      write_part(parts[i], slices[i], eps, rotation);
    else
      launched.part[launched.count++] = norm_rope_arguments(out, slices[i], norm, eps, &rotation, out.size(3));
  }
  if (launched.count > 0) FLASHBLOCK_LAUNCH(launch_norm_rope, launched, joined);
}

void add_gated_(at::Tensor& x, at::Tensor update, const at::Tensor& gate) {
  if (gate.size(1) > 1) {
    frame_by_frame(x, gate.size(1), [&](at::Tensor& part, const auto& of) {
      add_gated_(part, of(update), of(gate));
      return at::Tensor();
    });
    return;
  }
  if (!kernels_take(x) || !x.is_contiguous() || !update.is_contiguous()) return plain::add_gated_(x, update, gate);
  const GatedSumArguments arguments{.element = element_of(x),
                                    .x = x.data_ptr(),
                                    .update = update.const_data_ptr(),
                                    .gate = gate.const_data_ptr(),
                                    .rows = x.numel() / x.size(-1),
                                    .width = x.size(-1)};
  if (x.is_cuda())
    FLASHBLOCK_LAUNCH(launch_gated_sum, arguments, x);
  else
    run_rows(gated_sum_rows, arguments, arguments.rows, arguments.width);
}

}  // namespace flashblock
