#include "settings/config_file.h"

#include <yaml-cpp/yaml.h>

#include <random>
#include <sstream>
#include <utility>

#include "core/error.h"
#include "settings/config_reader.h"
#include "settings/model_file.h"
#include "settings/model_search.h"

namespace flashblock {
namespace {

/// The model that the layers name; the demo model if none does.
std::filesystem::path named_model(const std::vector<ConfigLayer>& layers) {
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    YamlMap map(layer->values);
    const YamlValue* model = map.find("model");
    if (!model) continue;
    const std::filesystem::path beside_the_file = layer->folder / model->text();
    return std::filesystem::exists(beside_the_file) ? std::filesystem::absolute(beside_the_file)
                                                    : find_model(model->text());
  }
  return find_model("demo");
}

uint64_t draw_seed() { return std::random_device{}(); }

void check_config(const RenderConfig& config) {
  check_recipe(config.model.recipe, "recipe");
  if (!config.image.empty() && !config.video.empty()) {
    throw ConfigError("image and video: a video starts from one of them, not both");
  }
  if (config.resume && config.overwrite) {
    throw ConfigError("resume and overwrite: unfinished work is continued or replaced, not both");
  }
  VideoFormat{.width = config.width, .height = config.height, .fps = config.fps, .encoder = config.encoder}.validate();
}

}  // namespace

ConfigLayer load_config_layer(const std::filesystem::path& file) {
  return {.values = load_yaml(file), .folder = std::filesystem::absolute(file).parent_path()};
}

ConfigLayer make_config_layer(const std::string& option, const std::string& key, const YAML::Node& value) {
  YAML::Node node = value;
  std::istringstream reversed(std::string(key.rbegin(), key.rend()));
  for (std::string part; std::getline(reversed, part, '.');) {
    YAML::Node parent;
    parent[std::string(part.rbegin(), part.rend())] = node;
    node.reset(parent);  // plain assignment would change the node that parent holds
  }
  return {.values = YamlValue(node, {.file = option, .key = ""}), .folder = std::filesystem::current_path()};
}

RenderConfig resolve_config(const std::vector<ConfigLayer>& layers) {
  // Mistakes in the settings are told before a model is looked for.
  RenderConfig ignored;
  for (const ConfigLayer& layer : layers) read_settings(layer, ignored);
  return resolve_config(layers, load_model_file(named_model(layers)));
}

RenderConfig resolve_config(const std::vector<ConfigLayer>& layers, ModelDescription model) {
  RenderConfig config;
  config.model = std::move(model);
  const VideoDefaults& defaults = config.model.defaults;
  config.width = defaults.width;
  config.height = defaults.height;
  config.fps = defaults.fps;
  config.seconds = defaults.seconds;
  for (const ConfigLayer& layer : layers) read_settings(layer, config);
  if (!config.seed) config.seed = draw_seed();
  if (config.output.empty()) {
    config.output =
        std::filesystem::current_path() / default_video_name(*config.seed, config.metadata ? config.prompt : "");
  }
  check_config(config);
  return config;
}

std::string default_video_name(uint64_t seed, const std::string& prompt) {
  constexpr size_t kLongest = 48;  // bytes of the words: readable in a listing
  std::string name = "flashblock-" + std::to_string(seed);
  std::string words, word;
  const auto end_word = [&] {
    if (!word.empty() && words.size() + 1 + word.size() <= kLongest) words += "-" + word;
    word.clear();
  };
  for (const char c : prompt) {
    const auto byte = static_cast<unsigned char>(c);
    const bool letter = std::isalnum(byte) || byte >= 0x80;  // letters of other scripts stay whole
    if (letter) word += static_cast<char>(byte < 0x80 ? std::tolower(byte) : byte);
    if (!letter) end_word();
    if (words.size() >= kLongest) break;
  }
  end_word();
  return name + words + ".mp4";
}

}  // namespace flashblock
