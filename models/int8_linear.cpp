#include "models/int8_linear.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/check.h"
#include "models/kernels/int8_kernels.h"

#ifdef FLASHBLOCK_CUDA
#include "attention/cuda_launch.h"
#include "attention/kernels/capability.h"
#endif

namespace flashblock {
namespace {

/// So many products of 8-bit integers add up exactly in fp32: 127^2 * 1024 < 2^24.
constexpr int64_t kExactProducts = 1024;

int64_t rows_of(const at::Tensor& x) { return x.numel() / x.size(-1); }

/// x weight^T in int32. Shape: int8 [rows, in], [out, in].
at::Tensor integer_product(const at::Tensor& x, const at::Tensor& weight) {
  // What cuBLAS supports.
  if (x.is_cuda() && x.size(0) > 16 && x.size(1) % 8 == 0 && weight.size(0) % 8 == 0) return at::_int_mm(x, weight.t());
  at::Tensor sum = at::zeros({x.size(0), weight.size(0)}, x.options().dtype(at::kInt));
  for (int64_t first = 0; first < x.size(1); first += kExactProducts) {
    const int64_t count = std::min(kExactProducts, x.size(1) - first);
    const auto part = [&](const at::Tensor& t) { return t.narrow(1, first, count).to(at::kFloat); };
    sum += at::matmul(part(x), part(weight).t()).to(at::kInt);
  }
  return sum;
}

void check_input(const LinearInput& x, const Linear& layer) {
  FB_CHECK(x.values.scalar_type() == at::kChar && x.scales.numel() == rows_of(x.values) &&
               layer.weight.scalar_type() == at::kChar && layer.scales.numel() == layer.weight.size(0) &&
               x.values.size(-1) == layer.weight.size(1),
           "8-bit linear of ", x.values.sizes(), " and ", layer.weight.sizes());
}

std::vector<int64_t> output_shape(const LinearInput& x, const Linear& layer) {
  std::vector<int64_t> shape = x.values.sizes().vec();
  shape.back() = layer.weight.size(0);
  return shape;
}

#ifdef FLASHBLOCK_CUDA

bool aligned(const at::Tensor& t) {
  return t.is_contiguous() && reinterpret_cast<uintptr_t>(t.const_data_ptr()) % 16 == 0;
}

bool kernel_quantises(const at::Tensor& x) {
  return x.is_cuda() && x.scalar_type() == at::kBFloat16 && x.size(-1) % 8 == 0 && x.size(-1) <= kLongestQuantisedRow &&
         aligned(x);
}

bool kernel_multiplies(const LinearInput& x, const Linear& layer) {
  return has_int8_linear(x.values.device(), layer.bias.scalar_type(), layer.weight.size(1), layer.weight.size(0)) &&
         aligned(x.values) && aligned(layer.weight) && aligned(layer.scales) && aligned(layer.bias);
}

#endif

}  // namespace

bool has_int8_linear(at::Device device, at::ScalarType dtype, int64_t in, int64_t out) {
#ifdef FLASHBLOCK_CUDA
  return device.is_cuda() && compute_capability_major(device.index()) == 9 && dtype == at::kBFloat16 &&
         in % kInt8InMultiple == 0 && out % kInt8OutMultiple == 0;
#else
  return static_cast<void>(device), static_cast<void>(dtype), static_cast<void>(in), static_cast<void>(out), false;
#endif
}

LinearInput quantise_rows(const at::Tensor& x, BeforeQuantising before, const at::Tensor& factors) {
  FB_CHECK(!factors.defined() || (factors.numel() == x.size(-1) && factors.scalar_type() == at::kFloat));
#ifdef FLASHBLOCK_CUDA
  if (kernel_quantises(x) && (!factors.defined() || aligned(factors))) {
    const at::Tensor values = at::empty(x.sizes(), x.options().dtype(at::kChar));
    const at::Tensor scales = at::empty({rows_of(x)}, x.options().dtype(at::kFloat));
    const QuantiseRowsArguments arguments{.x = x.const_data_ptr(),
                                          .gelu = before == BeforeQuantising::kGelu,
                                          .factors = factors.defined() ? factors.const_data_ptr<float>() : nullptr,
                                          .values = values.data_ptr<int8_t>(),
                                          .scales = scales.data_ptr<float>(),
                                          .rows = rows_of(x),
                                          .width = x.size(-1)};
    launch(launch_quantise_rows, arguments, x, "quantise_rows");
    return {values, scales};
  }
#endif
  return plain::quantise_rows(x, before, factors);
}

Linear quantised(const Linear& layer) {
  const LinearInput rows = plain::quantise_rows(layer.weight);
  return {rows.values, layer.bias, rows.scales, layer.input_factors};
}

at::Tensor int8_linear(const LinearInput& x, const Linear& layer) {
  check_input(x, layer);
#ifdef FLASHBLOCK_CUDA
  if (kernel_multiplies(x, layer)) {
    const at::Tensor out = at::empty(output_shape(x, layer), layer.bias.options());
    const Int8LinearArguments arguments{.x = x.values.const_data_ptr<int8_t>(),
                                        .row_scales = x.scales.const_data_ptr<float>(),
                                        .weight = layer.weight.const_data_ptr<int8_t>(),
                                        .column_scales = layer.scales.const_data_ptr<float>(),
                                        .bias = layer.bias.const_data_ptr(),
                                        .out = out.data_ptr(),
                                        .rows = rows_of(x.values),
                                        .in = x.values.size(-1),
                                        .out_columns = layer.weight.size(0),
                                        .multiprocessors = multiprocessor_count(x.values.device().index())};
    launch(launch_int8_linear, arguments, x.values, "int8_linear");
    return out;
  }
#endif
  return plain::int8_linear(x, layer);
}

namespace plain {

LinearInput quantise_rows(const at::Tensor& x, BeforeQuantising before, const at::Tensor& factors) {
  at::Tensor wide = x.to(at::kFloat);
  if (before == BeforeQuantising::kGelu) wide = at::gelu(wide, "tanh");
  if (factors.defined()) wide = wide * factors;
  const at::Tensor largest = at::amax(at::abs(wide), -1, /*keepdim=*/true);
  // By a tensor: LibTorch divides by a number through its reciprocal on GPUs, which rounds twice.
  const at::Tensor inverse = at::where(largest == 0, at::zeros_like(largest), at::full_like(largest, 127) / largest);
  // The largest value may round to 127.00001, which is 127, too. Of NaN, which has no integer, the scale is NaN.
  const at::Tensor values = at::round(wide * inverse).nan_to_num_(0, 0, 0).to(at::kChar);
  return {values, (largest * (1.0f / 127.0f)).flatten()};
}

at::Tensor int8_linear(const LinearInput& x, const Linear& layer) {
  check_input(x, layer);
  const at::Tensor sum = integer_product(x.values.flatten(0, -2), layer.weight).to(at::kFloat);
  return (sum * x.scales.unsqueeze(1) * layer.scales + layer.bias.to(at::kFloat))
      .to(layer.bias.scalar_type())
      .view(output_shape(x, layer));
}

}  // namespace plain
}  // namespace flashblock
