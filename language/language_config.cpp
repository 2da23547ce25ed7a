#include "language/language_config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"
#include "core/html_page.h"
#include "core/plain_text.h"
#include "core/unknown_name.h"

namespace flashblock {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr int64_t kLargestSize = 10'000'000;  // of any number in a config.json; products of two fit 64 bits
constexpr const char* kModelType = "sdar";

struct PublishedSizes {
  std::string_view name;
  int64_t layers, width, heads, ffn_dim;
};
constexpr std::array<PublishedSizes, 3> kPublishedSizes{
    {{"sdar-1.7b", 28, 2048, 16, 6144}, {"sdar-4b", 36, 2560, 32, 9728}, {"sdar-8b", 36, 4096, 32, 12288}}};

/// Values of one JSON object, by key.
class ConfigObject {
 public:
  ConfigObject(const std::string& text, std::string origin)
      : object_(json::parse(text, nullptr, /*allow_exceptions=*/false)), origin_(std::move(origin)) {
    if (!object_.is_object()) throw ConfigError(origin_ + json_fault(text));
  }

  /// Null where the key is missing.
  const json& at(const char* key) const {
    static const json null;
    const auto found = object_.find(key);
    return found == object_.end() ? null : *found;
  }
  int64_t size(const char* key) const {
    if (at(key).is_null()) fail(key, "is missing", "a whole number");
    return whole(key, at(key));
  }
  int64_t size(const char* key, int64_t otherwise) const { return at(key).is_null() ? otherwise : whole(key, at(key)); }
  double number(const char* key, double otherwise) const {
    const json& value = at(key);
    if (value.is_null()) return otherwise;
    if (!value.is_number()) fail(key, "is " + json_line(value), "a number");
    return value.get<double>();
  }
  bool flag(const char* key) const {
    const json& value = at(key);
    if (!value.is_null() && !value.is_boolean()) fail(key, "is " + json_line(value), "true or false");
    return !value.is_null() && value.get<bool>();
  }
  /// A token or a list of tokens; none where the key is missing.
  std::vector<int64_t> tokens(const char* key) const {
    std::vector<int64_t> tokens;
    const json& value = at(key);
    if (value.is_array())
      for (const json& token : value) tokens.push_back(whole(key, token));
    else if (!value.is_null())
      tokens.push_back(whole(key, value));
    return tokens;
  }
  [[noreturn]] void fail(const char* key, const std::string& found, const std::string& wanted) const {
    throw ConfigError(origin_ + ": " + key + " " + found + ", wanted " + wanted);
  }

 private:
  int64_t whole(const char* key, const json& value) const {
    if (!value.is_number_integer() || value < 0 || value > kLargestSize)
      fail(key, "is " + json_line(value), "a whole number up to " + std::to_string(kLargestSize));
    return value.get<int64_t>();
  }

  json object_;
  std::string origin_;
};

/// Throws for models that compute something else than this program does.
void refuse_others(const ConfigObject& config) {
  const auto want = [&](const char* key, const json& wanted) {
    const json& value = config.at(key);
    if (!value.is_null() && value != wanted)
      config.fail(key, "is " + json_line(value) + ", which is not supported", json_line(wanted));
  };
  if (config.at("model_type") != kModelType) {
    const json& type = config.at("model_type");
    config.fail("model_type", type.is_null() ? "is missing" : "is " + json_line(type) + ", which is not supported",
                json_line(kModelType));
  }
  want("hidden_act", "silu");
  want("attention_bias", false);
  want("use_sliding_window", false);
  want("rope_scaling", nullptr);
  want("quantization_config", nullptr);
}

std::string file_text(const fs::path& path) {
  std::ifstream stream(path);
  std::ostringstream text;
  if (!stream || !(text << stream.rdbuf())) throw WeightsError(path.string() + ": cannot be read");
  return text.str();
}

/// The N of a name that ends in "-bN", else 0.
int64_t block_size_in(const std::string& name) {
  const size_t mark = name.rfind("-b");
  if (mark == std::string::npos) return 0;
  int64_t size = 0;
  const char* const end = name.data() + name.size();
  const auto read = std::from_chars(name.data() + mark + 2, end, size);
  return read.ec == std::errc() && read.ptr == end && size >= 1 && size <= 1024 ? size : 0;
}

}  // namespace

void LanguageConfig::validate() const {
  const auto want = [](bool good, const std::string& message) {
    if (!good) throw ConfigError("language model: " + message);
  };
  want(vocabulary > 0 && width > 0 && layers > 0 && ffn_dim > 0 && positions > 0,
       "vocabulary, width, layers, feed-forward and positions must be positive");
  want(heads > 0 && kv_heads > 0 && heads % kv_heads == 0,
       std::to_string(heads) + " query heads cannot share " + std::to_string(kv_heads) + " key/value heads equally");
  want(head_dim > 0 && head_dim % 2 == 0, "head width " + std::to_string(head_dim) + " must be even and positive");
  want(eps > 0 && rope_base > 0, "eps and RoPE base must be positive");
  want(block_size >= 1 && block_size <= 1024, "block size " + std::to_string(block_size) + " is not from 1 to 1024");
  want(mask_token >= 0 && mask_token < vocabulary,
       "mask token " + std::to_string(mask_token) + " is none of the " + std::to_string(vocabulary) + " tokens");
}

LanguageConfig language_config_from_json(const std::string& text, const std::string& origin) {
  const ConfigObject object(text, origin);
  refuse_others(object);
  LanguageConfig config;
  config.vocabulary = object.size("vocab_size");
  config.width = object.size("hidden_size");
  config.layers = object.size("num_hidden_layers");
  config.heads = object.size("num_attention_heads");
  config.kv_heads = object.size("num_key_value_heads");
  config.head_dim = object.size("head_dim");
  config.ffn_dim = object.size("intermediate_size");
  config.eps = object.number("rms_norm_eps", config.eps);
  config.rope_base = object.number("rope_theta", config.rope_base);
  config.tied_head = object.flag("tie_word_embeddings");
  config.positions = object.size("max_position_embeddings", config.positions);
  config.block_size = object.size("block_size", config.block_size);
  config.mask_token = object.size("mask_token_id");
  config.end_tokens = object.tokens("eos_token_id");
  try {
    config.validate();
  } catch (const ConfigError& error) {
    throw ConfigError(origin + ": " + error.what());
  }
  return config;
}

LanguageConfig read_language_config(const fs::path& folder) {
  const fs::path file = folder / "config.json", generation = folder / "generation_config.json";
  if (!fs::exists(file))
    throw WeightsError(folder.string() + ": has no config.json; wanted the folder of a language model as published");
  LanguageConfig config = language_config_from_json(file_text(file), file.string());
  if (fs::exists(generation)) {
    const auto tokens = ConfigObject(file_text(generation), generation.string()).tokens("eos_token_id");
    if (!tokens.empty()) config.end_tokens = tokens;
  }
  const fs::path whole = fs::absolute(folder / "").lexically_normal().parent_path();
  if (const int64_t size = block_size_in(whole.filename().string()); size > 0) config.block_size = size;
  return config;
}

bool is_language_model(const fs::path& path) {
  std::ifstream stream(path / "config.json");
  if (!stream) return false;
  const json config = json::parse(stream, nullptr, /*allow_exceptions=*/false);
  return config.is_object() && config.contains("model_type") && config["model_type"] == kModelType;
}

bool is_published_language_geometry(std::string_view name) {
  return std::ranges::any_of(kPublishedSizes, [&](const PublishedSizes& sizes) { return sizes.name == name; });
}

// Source: config.json of JetLM/SDAR-1.7B-Chat, SDAR-4B-Chat and SDAR-8B-Chat.
LanguageConfig published_language_geometry(std::string_view name) {
  LanguageConfig config{
      .vocabulary = 151936, .kv_heads = 8, .head_dim = 128, .mask_token = 151669, .end_tokens = {151645, 151643}};
  std::string names;
  for (const PublishedSizes& sizes : kPublishedSizes) {
    names += (names.empty() ? "" : ", ") + std::string(sizes.name);
    if (sizes.name != name) continue;
    config.layers = sizes.layers;
    config.width = sizes.width;
    config.heads = sizes.heads;
    config.ffn_dim = sizes.ffn_dim;
    return config;
  }
  throw unknown_name("geometry", name, names);
}

}  // namespace flashblock
