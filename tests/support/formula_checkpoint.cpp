#include "tests/support/formula_checkpoint.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/support/test_data.h"

namespace flashblock::testing {

std::vector<std::pair<std::string, at::Tensor>> formula_tensors(const std::vector<NamedShape>& shapes,
                                                                std::string_view salt) {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  tensors.reserve(shapes.size());
  for (const auto& [name, shape] : shapes) tensors.emplace_back(name, formula_tensor(name, shape, salt));
  return tensors;
}

std::shared_ptr<const WeightStore> formula_store(const std::vector<NamedShape>& shapes, std::string_view salt) {
  const auto tensors = formula_tensors(shapes, salt);
  return WeightStore::from_tensors({tensors.begin(), tensors.end()}, "formula weights");
}

std::map<std::string, at::Tensor> language_formula_tensors(const nlohmann::json& config, double head_scale) {
  std::map<std::string, at::Tensor> tensors;
  const std::string salt = std::string(kFormulaSalt) + "/";
  for (const auto& [name, shape] : language_shapes(config)) {
    if (name == "model.embed_tokens.weight")
      tensors[name] = formula_data(salt + name, shape, 1);
    else if (name == "lm_head.weight")
      tensors[name] = formula_data(salt + name, shape, head_scale * std::sqrt(3.0 / double(shape[1])));
    else
      tensors[name] = formula_tensor(name, shape);
  }
  return tensors;
}

std::shared_ptr<const WeightStore> parity_data(const std::string& name) {
  return WeightStore::open(test_data("parity/" + name + ".safetensors"));
}

nlohmann::json parity_config(const WeightStore& data, const std::string& key) {
  return nlohmann::json::parse(data.metadata().at(key));
}

}  // namespace flashblock::testing
