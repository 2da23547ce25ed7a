#include "settings/text_settings.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "core/error.h"
#include "language/language_config.h"
#include "settings/config_file.h"
#include "settings/model_file.h"
#include "settings/settings_table.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMost = 10'000'000;
constexpr double kMostNumber = 1000;
constexpr const char* kArchitecture = "sdar";

std::string default_in_words(bool value) { return value ? "true" : "false"; }
std::string default_in_words(int64_t value) { return std::to_string(value); }
std::string default_in_words(Remasking value) { return to_string(value); }
std::string default_in_words(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

/// How a value is read, and the values allowed in words.
template <typename Value>
struct Reader {
  std::string values;
  std::function<Value(const YamlValue&)> read;
};

Reader<int64_t> integer(int64_t least, int64_t most = kMost) {
  return {integer_words(least, most), [=](const YamlValue& value) { return value.integer(least, most); }};
}
Reader<double> number(double least, double most) {
  return {number_words(least, most), [=](const YamlValue& value) { return value.number(least, most); }};
}
Reader<bool> boolean() {
  return {"true or false", [](const YamlValue& value) { return value.boolean(); }};
}
Reader<Remasking> remasking() {
  const auto read = [](const YamlValue& value) { return fields::parse_at(value, parse_remasking); };
  std::string values;
  for (const Remasking rule : {Remasking::kLowConfidenceStatic, Remasking::kLowConfidenceDynamic,
                               Remasking::kSequential, Remasking::kEntropyBounded})
    values += (values.empty() ? "" : ", ") + to_string(rule);
  return {values, read};
}

/// A row; `members` lead to the field. `otherwise`: the default in words, where it is not the field's.
template <typename Value, typename... Members>
TextSetting row(std::string name, const Reader<Value>& reader, std::string help, std::string otherwise,
                Members... members) {
  const TextConfig defaults;
  if (otherwise.empty()) otherwise = default_in_words((defaults.*....*members));
  return {
      std::move(name), std::move(help), reader.values, std::move(otherwise),
      [=, read = reader.read](const YamlValue& value, TextConfig& config) { (config.*....*members) = read(value); }};
}

// By the row of videos, whose field has the same meaning.
void read_shared(const Setting& setting, const YamlValue& value, TextConfig& config) {
  RenderConfig shared;
  shared.device = config.device;
  shared.dtype = config.dtype;
  shared.seed = config.seed;
  shared.attention = config.attention;
  setting.field.read(value, fs::current_path(), shared);
  config.device = shared.device;
  config.dtype = shared.dtype;
  config.seed = shared.seed;
  config.attention = shared.attention;
}

/// A key of videos. `otherwise`: the default in words, where it is not that of videos.
TextSetting shared_row(const std::string& name, const std::string& option, const std::string& type, std::string help,
                       const std::string& otherwise = "") {
  const Setting& setting = *find_setting(name);
  const auto read = [&setting](const YamlValue& value, TextConfig& config) { read_shared(setting, value, config); };
  return {
      name, std::move(help), setting.field.values, otherwise.empty() ? default_words(setting) : otherwise, read, option,
      type};
}

TextSetting with_option(TextSetting setting, const std::string& option, const std::string& type) {
  setting.option = option;
  setting.type = type;
  return setting;
}

std::vector<TextSetting> make_rows() {
  const auto decoding = &TextConfig::decoding;
  const auto rule = &DecodingConfig::remasking;
  const auto sampling = &DecodingConfig::sampling;
  const auto attention = &TextConfig::attention;
  return {
      shared_row("device", "--device", "NAME", "Where the model runs: auto, cpu, cuda or cuda:N"),
      shared_row("dtype", "--dtype", "NAME", "Type of weights and activations: auto, float32 or bfloat16"),
      shared_row("seed", "--seed", "N", "Seed of sampling: the same seed, the same text", "drawn"),
      row("decoding.block_size", integer(1, 1024), "Tokens decoded together", "the model's", decoding,
          &DecodingConfig::block_size),
      row("decoding.steps", integer(1),
          "Passes in which a block is meant to be decoded: each decodes at least block_size / steps tokens",
          "block_size", decoding, &DecodingConfig::steps),
      row("decoding.remasking", remasking(), "Which tokens a pass decodes", "", decoding, rule, &RemaskingRule::rule),
      row("decoding.threshold", number(0, 1),
          "Of low_confidence_dynamic: all tokens that are more probable are decoded", "", decoding, rule,
          &RemaskingRule::threshold),
      row("decoding.entropy_bound", number(0, kMostNumber),
          "Of entropy_bounded: tokens are decoded by rising entropy while their sum stays below", "", decoding, rule,
          &RemaskingRule::entropy_bound),
      row("decoding.temperature", number(0, 100), "Divides the logits; 0: the most probable token", "", decoding,
          sampling, &SamplingConfig::temperature),
      row("decoding.top_k", integer(0), "Only the k most probable tokens are drawn; 1: greedy, 0: all", "", decoding,
          sampling, &SamplingConfig::top_k),
      row("decoding.top_p", number(0, 1), "Only the most probable tokens are drawn, up to this probability together",
          "", decoding, sampling, &SamplingConfig::top_p),
      with_option(
          row("decoding.max_tokens", integer(1), "Tokens decoded at most", "", decoding, &DecodingConfig::max_tokens),
          "--max-tokens", "N"),
      row("decoding.stop_at_end", boolean(), "Whether an end token ends the text", "", decoding,
          &DecodingConfig::stop_at_end),
      shared_row("attention.mode", "--attention", "NAME",
                 "Attention to earlier blocks: exact computes it in every pass, flashblock reuses it"),
      row("attention.reuse_from", integer(0),
          "Cached tokens from which the attention to earlier blocks is reused: over fewer it is exact, since there is "
          "little to save",
          "", decoding, &DecodingConfig::reuse_from),
      shared_row("attention.refresh", "", "", "When the attention to earlier blocks is refreshed"),
      row("attention.tau", integer(1), "Of decoded_tokens: tokens decoded from one refresh to the next", "", attention,
          &AttentionConfig::tau),
      row("attention.recompute_decoded_rows", boolean(),
          "Where the external attention is reused, that of the tokens decoded since is computed all the same", "",
          attention, &AttentionConfig::recompute_decoded_rows),
      shared_row("attention.correction", "", "", "Correction of a reused state", "none"),
  };
}

// A key that is not listed, of the mapping that texts share with videos.
bool is_shared(const std::string& key) { return split_key(key).first == "attention"; }

std::vector<std::string> known_keys() {
  std::vector<std::string> keys;
  keys.reserve(text_settings().size() + settings_table().size());
  for (const TextSetting& setting : text_settings()) keys.push_back(setting.name);
  for (const Setting& setting : settings_table())
    if (is_shared(setting.name)) keys.push_back(setting.name);
  return keys;
}

void read_text_key(const std::string& key, const YamlValue& value, TextConfig& config) {
  if (key == "attention") return read_text_key("attention.mode", value, config);  // `attention: exact`
  for (const TextSetting& setting : text_settings())
    if (setting.name == key) return setting.read(value, config);
  const Setting* const shared = is_shared(key) ? find_setting(key) : nullptr;
  if (shared) return read_shared(*shared, value, config);
  const std::string meant = nearest_word(key, known_keys());
  throw ConfigError(value.place().file + ": unknown key '" + key + "' of texts" +
                    (meant.empty() ? "" : ", did you mean " + meant + "?"));
}

/// The folder that a model file names.
fs::path folder_in(const fs::path& file) {
  YamlMap map(load_yaml(file));
  const YamlValue& architecture = map.require("architecture");
  if (architecture.text() != kArchitecture)
    architecture.fail("found \"" + architecture.text() + "\", wanted " + kArchitecture + ", a language model");
  map.find("name");
  const YamlValue& model = map.require("model");
  map.finish();
  const fs::path folder = (file.parent_path() / model.text()).lexically_normal();
  if (!fs::exists(folder / "config.json")) model.fail("there is no config.json in " + folder.string());
  return folder;
}

}  // namespace

const std::vector<TextSetting>& text_settings() {
  static const std::vector<TextSetting> rows = make_rows();
  return rows;
}

void read_text_setting(const std::string& option, const std::string& key, const std::string& yaml, TextConfig& config) {
  YAML::Node node;
  try {
    node = YAML::Load(yaml);
  } catch (const YAML::Exception& error) {
    throw ConfigError(option + " " + key + ": " + error.msg + " in '" + yaml + "'");
  }
  const auto is_set = [&](const TextSetting& setting) { return setting.name == key && setting.option == option; };
  const bool says_key = std::ranges::any_of(text_settings(), is_set);
  read_text_key(key, {node, {.file = option, .key = key, .says_key = says_key}}, config);
}

void read_text_settings(const ConfigLayer& layer, TextConfig& config) {
  YamlMap map(layer.values);
  for (const auto& entry : layer.values.node()) {
    const auto key = entry.first.as<std::string>();
    const YamlValue& value = *map.find(key);
    if (key == "model") continue;
    if (!value.is_map()) {
      read_text_key(key, value, config);
      continue;
    }
    YamlMap group(value);
    for (const auto& inner : value.node()) {
      const auto name = inner.first.as<std::string>();
      read_text_key(key + "." + name, *group.find(name), config);
    }
  }
}

void validate(const TextConfig& config) {
  validate(config.decoding);
  validate(config.attention);
}

std::optional<fs::path> language_folder(const std::string& name) {
  const bool included = name == kIncludedLanguageModel;  // whatever the current folder holds under its name
  if (!included && is_language_model(name)) return fs::absolute(name).lexically_normal();
  if (!included && fs::exists(name)) return {};
  return find_in_model_folders(name, is_language_model);
}

fs::path find_language_model(const std::string& name) {
  if (const auto folder = language_folder(name)) return *folder;
  const fs::path found = find_model(name);
  if (!fs::is_directory(found)) return folder_in(found);
  if (fs::exists(found / "model.yaml")) return folder_in(found / "model.yaml");
  read_language_config(found);  // says why it is none
  return found;
}

}  // namespace flashblock
