#include "models/lora_strength.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "core/error.h"
#include "core/html_page.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kMetadataKey = "lora_adapter_metadata";
constexpr const char* kConfigFile = "adapter_config.json";
constexpr std::string_view kComponent = "transformer.";  // of the settings in a header; others have other fronts

Json parse_object(const std::string& text, const std::string& origin) {
  Json object = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) throw WeightsError(origin + ": is not a JSON object; download the adapter again");
  return object;
}

bool is_set(const Json& config, const char* key) {
  const auto found = config.find(key);
  return found != config.end() && !found->is_null() && *found != false && !(found->is_object() && found->empty());
}

/// A strength that is stated and not understood would count as 1. Throws: WeightsError.
void check_alpha(const Json& config, const std::string& origin) {
  const auto alpha = config.find("lora_alpha");
  if (alpha != config.end() && !alpha->is_null() && !alpha->is_number())
    throw WeightsError(origin + ": lora_alpha is " + json_line(*alpha) + ", wanted a number");
  const auto patterns = config.find("alpha_pattern");
  if (patterns == config.end() || patterns->is_null()) return;
  if (!patterns->is_object() || !std::ranges::all_of(*patterns, [](const Json& value) { return value.is_number(); }))
    throw WeightsError(origin + ": alpha_pattern is " + json_line(*patterns) + ", wanted numbers by name of module");
}

void refuse_unsupported(const Json& config, const std::string& origin) {
  check_alpha(config, origin);
  for (const char* key : {"use_dora", "fan_in_fan_out"})
    if (is_set(config, key))
      throw WeightsError(origin + ": has " + key +
                         ", which is not supported; merge the adapter with PEFT's merge_and_unload");
  const auto found = config.find("init_lora_weights");
  if (found == config.end() || !found->is_string()) return;
  const auto start = found->get<std::string>();
  for (const char* kind : {"pissa", "olora", "corda", "loftq", "lora_ga"})
    if (start.starts_with(kind))
      throw WeightsError(origin + ": init_lora_weights is " + start +
                         ", which changes the model's own weights, too; save the adapter with PEFT's "
                         "path_initial_model_for_weight_conversion, or merge it with merge_and_unload");
}

bool states_alpha(const Json& config) {
  const auto alpha = config.find("lora_alpha");
  return (alpha != config.end() && alpha->is_number()) || is_set(config, "alpha_pattern");
}

/// The transformer's settings of a header, whose keys may begin with the component's name.
Json header_config(const WeightStore& adapter, const std::string& origin) {
  Json config = Json::object();
  const auto found = adapter.metadata().find(kMetadataKey);
  if (found == adapter.metadata().end()) return config;
  const Json settings = parse_object(found->second, origin);
  for (const auto& [key, value] : settings.items()) {
    if (key.starts_with(kComponent)) config[key.substr(kComponent.size())] = value;
    if (key.find('.') == std::string::npos && !config.contains(key)) config[key] = value;
  }
  return config;
}

/// Whether PEFT's pattern, a regular expression for the end of a module's name, names `module`.
bool names_module(const std::string& pattern, const std::string& module, const std::string& origin) {
  std::string_view text = pattern;
  const bool whole = text.starts_with('^');
  if (whole) text.remove_prefix(1);
  if (text.ends_with('$')) text.remove_suffix(1);
  std::string name;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == '.') ++i;
    if (std::string_view("\\*+?[](){}|^$").find(text[i]) != std::string_view::npos)
      throw WeightsError(origin + ": alpha_pattern has the regular expression '" + pattern +
                         "', wanted names of modules; merge the adapter with PEFT's merge_and_unload");
    name += text[i];
  }
  name = strip_wrapper_prefixes(name);
  const std::string own = strip_wrapper_prefixes(module);
  return own == name || (!whole && own.ends_with("." + name));
}

}  // namespace

fs::path lora_config_file(const fs::path& adapter) {
  std::error_code unknown;
  const bool named_so = adapter.filename().string().starts_with("adapter_model.");
  if (!fs::is_directory(adapter, unknown) && !named_so) return {};
  const fs::path file = (named_so ? adapter.parent_path() : adapter) / kConfigFile;
  return fs::exists(file, unknown) ? file : fs::path();
}

LoraConfig::LoraConfig(const WeightStore& adapter) {
  const std::string header = adapter.path().string() + ": " + kMetadataKey;
  config_ = header_config(adapter, header);
  origin_ = std::string("the header's ") + kMetadataKey;
  refuse_unsupported(config_, header);
  if (states_alpha(config_)) return;
  const fs::path file = lora_config_file(adapter.path());
  if (file.empty()) return;
  std::ifstream stream(file);
  config_ = parse_object({std::istreambuf_iterator<char>(stream), {}}, file.string());
  origin_ = kConfigFile;
  refuse_unsupported(config_, file.string());
}

LoraStrength LoraConfig::strength(const std::string& module, int64_t rank) const {
  const auto size = static_cast<double>(rank);
  LoraStrength strength{.factor = 1, .alpha = size, .alpha_from = "the rank"};
  const auto take = [&](const Json& alpha) {
    strength.square_root = is_set(config_, "use_rslora");
    strength.alpha = alpha.get<double>();
    strength.alpha_from = origin_;
    strength.factor = strength.alpha / (strength.square_root ? std::sqrt(size) : size);
  };
  if (const auto alpha = config_.find("lora_alpha"); alpha != config_.end() && alpha->is_number()) take(*alpha);
  const auto patterns = config_.find("alpha_pattern");
  if (patterns == config_.end() || !patterns->is_object()) return strength;
  for (const auto& [pattern, alpha] : patterns->items()) {
    if (!alpha.is_number() || !names_module(pattern, module, origin_)) continue;
    take(alpha);
    break;
  }
  return strength;
}

}  // namespace flashblock
