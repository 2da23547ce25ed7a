#include "tests/support/formula_checkpoint.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/support/test_data.h"
#include "weights/tensor_file.h"

namespace flashblock::testing {
namespace {

std::filesystem::path parity_file(const std::string& name) { return test_data("parity/" + name + ".safetensors"); }

bool has_formula(const WeightStore& store) { return store.metadata().count("formula") > 0; }

// {NAME: [name in the formula, shape, bound], ...}
NamedTensors with_formula(const WeightStore& stored) {
  NamedTensors tensors;
  for (const std::string& name : stored.names()) tensors.emplace_back(name, stored.tensor(name));
  const nlohmann::json formula = parity_config(stored, "formula");
  for (const auto& [name, data] : formula.items()) tensors.emplace_back(name, formula_data(data[0], data[1], data[2]));
  return tensors;
}

}  // namespace

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

std::vector<NamedShape> recorded_transformer_shapes(const nlohmann::json& config) {
  std::vector<NamedShape> shapes = transformer_shapes(config);
  if (!config.value("dual_full_expert", false)) return shapes;
  const size_t count = shapes.size();
  for (size_t i = 0; i < count; ++i) {
    auto [name, shape] = shapes[i];
    const size_t component = name.starts_with("blocks.") ? name.rfind('.') + 1 : 0;
    shapes.emplace_back(name.insert(component, "memory_"), shape);
  }
  return shapes;
}

std::vector<NamedShape> recorded_vae_shapes(const nlohmann::json& vae) {
  return vae.contains("decoder_dim") ? wan22_vae_shapes(vae["dim"], vae["decoder_dim"]) : vae_shapes(vae["dim"]);
}

std::shared_ptr<const WeightStore> parity_data(const std::string& name) {
  const auto stored = WeightStore::open(parity_file(name));
  if (!has_formula(*stored)) return stored;
  const NamedTensors tensors = with_formula(*stored);
  return WeightStore::from_tensors({tensors.begin(), tensors.end()}, stored->path(), stored->metadata());
}

std::filesystem::path whole_parity_file(const std::string& name, const std::filesystem::path& folder) {
  const auto stored = WeightStore::open(parity_file(name));
  if (!has_formula(*stored)) return parity_file(name);
  const std::filesystem::path file = folder / (name + ".safetensors");
  write_tensor_file(file, with_formula(*stored), stored->metadata());
  return file;
}

nlohmann::json parity_config(const WeightStore& data, const std::string& key) {
  return nlohmann::json::parse(data.metadata().at(key));
}

}  // namespace flashblock::testing
