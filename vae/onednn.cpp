#include "vae/onednn.h"

#include <ATen/Context.h>
#include <ATen/core/List.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>
#include <string_view>
#include <vector>

namespace flashblock::onednn {
namespace {

using Scalars = c10::List<std::optional<at::Scalar>>;

// LibTorch registers these operators for its compiler; they have no C++ header. The schemas are those of LibTorch 2.11.
using Supported = bool();
using Reorder = at::Tensor(const at::Tensor&, at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, int64_t,
                           at::OptionalIntArrayRef);
using Convolve = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, at::IntArrayRef,
                            at::IntArrayRef, at::IntArrayRef, int64_t, std::string_view, Scalars,
                            std::optional<std::string_view>);
using ConvolveAdd = at::Tensor&(at::Tensor&, const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                                at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, int64_t, std::string_view,
                                std::optional<at::Scalar>, std::optional<std::string_view>, Scalars,
                                std::optional<std::string_view>);

template <typename Signature>
c10::TypedOperatorHandle<Signature> find(const char* name, const char* overload = "") {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).typed<Signature>();
}

bool registered() {
  return c10::Dispatcher::singleton().findSchema({"mkldnn::_convolution_pointwise_", "binary"}).has_value() &&
         c10::Dispatcher::singleton().findSchema({"mkldnn::_is_mkldnn_bf16_supported", ""}).has_value();
}

std::vector<int64_t> ones(const ConvArguments& arguments) { return std::vector<int64_t>(arguments.stride.size(), 1); }

std::optional<at::Tensor> optional(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional<at::Tensor>(tensor) : std::nullopt;
}

}  // namespace

bool available(at::ScalarType dtype) {
  static const bool present = at::hasMKLDNN() && registered();
  static const bool bfloat16 = present && find<Supported>("mkldnn::_is_mkldnn_bf16_supported").call();
  return dtype == at::kFloat ? present : dtype == at::kBFloat16 && bfloat16;
}

at::Tensor pack(const at::Tensor& weight, const ConvArguments& arguments, at::IntArrayRef input_sizes) {
  static const auto op = find<Reorder>("mkldnn::_reorder_convolution_weight");
  return op.call(weight, arguments.padding, arguments.stride, ones(arguments), 1, input_sizes);
}

at::Tensor convolve(const at::Tensor& input, const at::Tensor& packed, const at::Tensor& bias,
                    const ConvArguments& arguments) {
  static const auto op = find<Convolve>("mkldnn::_convolution_pointwise");
  return op.call(input, packed, optional(bias), arguments.padding, arguments.stride, ones(arguments), 1, "none",
                 Scalars(), std::nullopt);
}

void convolve_add(at::Tensor& sum, const at::Tensor& input, const at::Tensor& packed, const at::Tensor& bias,
                  const ConvArguments& arguments) {
  static const auto op = find<ConvolveAdd>("mkldnn::_convolution_pointwise_", "binary");
  op.call(sum, input, packed, optional(bias), arguments.padding, arguments.stride, ones(arguments), 1, "add",
          at::Scalar(1.0), std::nullopt, Scalars(), std::nullopt);
}

}  // namespace flashblock::onednn
