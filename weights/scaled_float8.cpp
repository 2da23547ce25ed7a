#include "weights/scaled_float8.h"

#include <ATen/TensorOperators.h>

#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace flashblock {
namespace {

using nlohmann::json;

constexpr const char* kMetadataKey = "_quantization_metadata";

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& what) {
  throw WeightsError(path.string() + ": " + what + "; use a release in bfloat16, float32 or scaled float8");
}

bool is_float8(at::ScalarType dtype) { return dtype == at::kFloat8_e4m3fn || dtype == at::kFloat8_e5m2; }

/// `name` without `.end`, or empty.
std::string module_of(const std::string& name, std::string_view end) {
  if (name.size() <= end.size() + 1 || !name.ends_with(end) || name[name.size() - end.size() - 1] != '.') return {};
  return name.substr(0, name.size() - end.size() - 1);
}

bool is_marker(const std::string& name) { return name == "scaled_fp8" || !module_of(name, "scaled_fp8").empty(); }

void check_format(const std::filesystem::path& path, const std::string& module, const json& description) {
  const std::string format =
      description.is_object() && description.contains("format") && description["format"].is_string()
          ? description["format"].get<std::string>()
          : "";
  if (!format.starts_with("float8_"))
    refuse(path, "'" + module + "' is stored in the format '" + format + "', which is not supported");
}

/// The formats that the metadata lists for modules. Only a format that is not float8 is of interest.
void check_metadata(const std::filesystem::path& path, const std::string& text) {
  const json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object() || !document.contains("layers") || !document["layers"].is_object())
    refuse(path, std::string(kMetadataKey) + " is not an object with `layers`");
  for (const auto& [module, description] : document["layers"].items()) check_format(path, module, description);
}

void check_description(const std::filesystem::path& path, const std::string& module, const at::Tensor& bytes) {
  if (bytes.scalar_type() != at::kByte || !bytes.is_contiguous())
    refuse(path, "'" + module + ".comfy_quant' is not JSON in uint8");
  const std::string text(static_cast<const char*>(bytes.const_data_ptr()), static_cast<size_t>(bytes.numel()));
  check_format(path, module, json::parse(text, nullptr, /*allow_exceptions=*/false));
}

/// One number, or one per row, in a shape that multiplies the weight.
at::Tensor fitting_scale(const std::filesystem::path& path, const std::string& module, const at::Tensor& scale,
                         const StoredTensor& weight) {
  if (!scale.is_floating_point() || weight.shape.empty())
    refuse(path, "the scale of '" + module + ".weight' is not a floating-point number");
  if (scale.numel() == 1) return scale.to(at::kFloat).reshape({});
  if (scale.numel() != weight.shape[0])
    refuse(path, "'" + module + ".weight' has " + std::to_string(weight.shape[0]) + " rows and " +
                     std::to_string(scale.numel()) + " scales; wanted one, or one per row");
  std::vector<int64_t> shape(weight.shape.size(), 1);
  shape[0] = scale.numel();
  return scale.to(at::kFloat).reshape(shape);
}

StoredTensor scaled(StoredTensor weight, const at::Tensor& scale) {
  weight.dtype = at::kFloat;
  weight.packing = weight.data.scalar_type() == at::kFloat8_e5m2 ? "scaled Float8_e5m2" : "scaled Float8_e4m3fn";
  weight.unpack = [scale](const at::Tensor& data) { return data.to(at::kFloat) * scale; };
  return weight;
}

}  // namespace

void unpack_scaled_float8(const std::filesystem::path& path, std::map<std::string, StoredTensor>& tensors,
                          const std::map<std::string, std::string>& metadata) {
  std::map<std::string, at::Tensor> scales;  // by module
  std::vector<std::string> consumed;
  bool described = false;
  for (const auto& [name, tensor] : tensors) {
    for (const char* end : {"scale_weight", "weight_scale"}) {
      const std::string module = module_of(name, end);
      const auto weight = tensors.find(module + ".weight");
      if (module.empty() || weight == tensors.end() || !is_float8(weight->second.data.scalar_type())) continue;
      scales[module] = fitting_scale(path, module, tensor.data, weight->second);
      consumed.push_back(name);
    }
    if (const std::string module = module_of(name, "comfy_quant"); !module.empty()) {
      check_description(path, module, tensor.data);
      consumed.push_back(name);
    }
    if (is_marker(name)) consumed.push_back(name);
    described = described || is_marker(name);
  }
  if (scales.empty() && !described) return;
  if (const auto found = metadata.find(kMetadataKey); found != metadata.end()) check_metadata(path, found->second);
  for (const auto& [module, scale] : scales) {
    StoredTensor& weight = tensors.at(module + ".weight");
    weight = scaled(std::move(weight), scale);
    for (const char* input : {".scale_input", ".input_scale"}) tensors.erase(module + input);
  }
  for (const std::string& name : consumed) tensors.erase(name);
}

}  // namespace flashblock
