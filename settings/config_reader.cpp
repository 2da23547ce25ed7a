#include "settings/config_reader.h"

#include <yaml-cpp/yaml.h>

#include <fstream>
#include <sstream>
#include <tuple>

#include "core/error.h"
#include "settings/gate_file.h"
#include "settings/model_file.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

/// Sets `target` to the path that `key` gives, relative to the layer's folder; an empty path unsets it.
void read_path(YamlMap& map, const char* key, const fs::path& folder, fs::path& target) {
  const YamlValue* value = map.find(key);
  if (!value) return;
  const std::string text = value->is_null() ? "" : value->text();
  target = text.empty() ? fs::path() : fs::absolute(folder / text).lexically_normal();
}

std::string read_prompt_file(const YamlValue& value, const fs::path& folder) {
  const fs::path file = folder / value.text();
  std::ifstream stream(file);
  std::ostringstream text;
  if (!stream || !(text << stream.rdbuf())) {
    value.fail("cannot read the prompt from " + file.string() + ": wanted a text file that is not empty");
  }
  return text.str();
}

void read_prompt(YamlMap& map, const fs::path& folder, RenderConfig& config) {
  const YamlValue* prompt = map.find("prompt");
  const YamlValue* file = map.find("prompt_file");
  if (prompt && file) file->fail("there are two prompts, here and in prompt: give one of them");
  if (!prompt && !file) return;
  config.prompt = prompt ? prompt->text() : read_prompt_file(*file, folder);
  const auto last = config.prompt.find_last_not_of(" \t\r\n");
  config.prompt.erase(last == std::string::npos ? 0 : last + 1);
  if (config.prompt.empty()) (prompt ? prompt : file)->fail("the prompt is empty: say what to show");
}

void read_timeline(YamlMap& map, RenderConfig& config) {
  const YamlValue* value = map.find("timeline");
  if (!value) return;
  config.timeline.clear();
  if (value->is_null()) return;
  for (const YamlValue& entry : value->list()) {
    YamlMap change(entry);
    const double seconds = change.require("at").positive_number();
    config.timeline.push_back({.seconds = seconds, .prompt = change.require("prompt").text()});
    if (config.timeline.back().prompt.empty()) change.require("prompt").fail("the prompt is empty");
    change.finish();
  }
}

void read_length(YamlMap& map, RenderConfig& config) {
  const YamlValue* seconds = map.find("seconds");
  const YamlValue* frames = map.find("frames");
  if (seconds && frames) frames->fail("the length is given twice, here and in seconds: give one of them");
  if (seconds) {
    config.seconds = seconds->positive_number();
    config.frames.reset();
  }
  if (frames) config.frames = frames->integer(1, 10'000'000);
}

void read_attention(YamlMap& map, const fs::path& folder, AttentionConfig& attention) {
  const YamlValue* value = map.find("attention");
  if (!value) return;
  // The parsers' own message lacks the place.
  const auto placed = [](const YamlValue& at, const auto& parse) {
    try {
      return parse(at.text());
    } catch (const ConfigError& error) {
      at.fail(error.what());
    }
  };
  if (value->is_scalar()) {
    attention.mode = placed(*value, parse_attention_mode);
    return;
  }
  YamlMap keys(*value);
  if (const YamlValue* mode = keys.find("mode")) attention.mode = placed(*mode, parse_attention_mode);
  if (const YamlValue* refresh = keys.find("refresh")) attention.refresh = placed(*refresh, parse_refresh_policy);
  if (const YamlValue* correction = keys.find("correction"))
    attention.correction = placed(*correction, parse_correction);
  if (const YamlValue* gate = keys.find("gate")) {
    attention.gate = std::make_shared<RefreshGate>(read_gate_file(fs::absolute(folder / gate->text())));
  }
  if (const YamlValue* interval = keys.find("interval")) attention.interval = interval->integer(1, 1000);
  if (const YamlValue* bound = keys.find("bound")) attention.bound = bound->number(0, 1000);
  if (const YamlValue* density = keys.find("density")) attention.density = density->number(0, 1);
  if (const YamlValue* residual = keys.find("residual")) attention.residual = placed(*residual, parse_residual);
  keys.finish();
}

void read_encoder(YamlMap& map, EncoderSettings& encoder) {
  const YamlValue* value = map.find("encoder");
  if (!value) return;
  YamlMap keys(*value);
  if (const YamlValue* preset = keys.find("preset")) encoder.preset = preset->text();
  if (const YamlValue* crf = keys.find("crf")) encoder.crf = static_cast<int>(crf->integer(0, 51));
  if (const YamlValue* threads = keys.find("threads")) encoder.threads = static_cast<int>(threads->integer(1, 64));
  keys.finish();
}

void read_format(YamlMap& map, RenderConfig& config) {
  if (const YamlValue* size = map.find("size")) std::tie(config.width, config.height) = read_size(*size);
  if (const YamlValue* fps = map.find("fps")) config.fps = fps->integer(1, 240);
}

void read_seed(YamlMap& map, RenderConfig& config) {
  const YamlValue* value = map.find("seed");
  if (value) config.seed = static_cast<uint64_t>(value->integer(0));
}

void read_switches(YamlMap& map, RenderConfig& config) {
  if (const YamlValue* value = map.find("overwrite")) config.overwrite = value->boolean();
  if (const YamlValue* value = map.find("resume")) config.resume = value->boolean();
  if (const YamlValue* value = map.find("metadata")) config.metadata = value->boolean();
  if (const YamlValue* value = map.find("cache")) config.cache = value->boolean();
  if (const YamlValue* value = map.find("offload")) config.offload = value->boolean();
  if (const YamlValue* value = map.find("overlap")) config.overlap = value->boolean();
  if (const YamlValue* value = map.find("device")) config.device = value->text();
  if (const YamlValue* value = map.find("dtype")) config.dtype = value->text();
}

}  // namespace

void read_settings(const ConfigLayer& layer, RenderConfig& config) {
  YamlMap map(layer.values);
  map.find("model");  // read before all others: it brings the defaults
  read_prompt(map, layer.folder, config);
  read_timeline(map, config);
  read_length(map, config);
  read_format(map, config);
  read_seed(map, config);
  read_attention(map, layer.folder, config.attention);
  read_encoder(map, config.encoder);
  read_switches(map, config);
  read_path(map, "output", layer.folder, config.output);
  read_path(map, "image", layer.folder, config.image);
  read_path(map, "video", layer.folder, config.video);
  read_path(map, "contact_sheet", layer.folder, config.contact_sheet);
  read_path(map, "record", layer.folder, config.record);
  read_path(map, "replay", layer.folder, config.replay);
  if (const YamlValue* recipe = map.find("recipe")) read_recipe(YamlMap(*recipe), config.model.recipe);
  map.finish();
}

}  // namespace flashblock
