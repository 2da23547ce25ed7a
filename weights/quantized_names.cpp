#include "weights/quantized_names.h"

#include <algorithm>
#include <string_view>

namespace flashblock {
namespace {

// Last components of tensor names.
constexpr std::string_view kEnds[] = {"weight_scale",
                                      "weight_scale_2",
                                      "weight_global_scale",
                                      "weight_packed",
                                      "weight_zero_point",
                                      "input_scale",
                                      "input_global_scale",
                                      "scale_weight",
                                      "scale_input",
                                      "scaled_fp8",
                                      "comfy_quant",
                                      "quantized_weight_values",
                                      "quantized_weight_scale_factors",
                                      "quantized_weight_amax",
                                      "SCB",
                                      "absmax"};

}  // namespace

std::string quantization_tensor(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const std::string_view end = std::string_view(name).substr(name.rfind('.') + 1);
    if (std::find(std::begin(kEnds), std::end(kEnds), end) != std::end(kEnds)) return name;
  }
  return {};
}

}  // namespace flashblock
