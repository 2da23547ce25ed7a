// RenderConfig as YAML: every key of docs/config.md, in its order.

#include <yaml-cpp/yaml.h>

#include <charconv>

#include "settings/config_file.h"
#include "attention/refresh_policy.h"
#include "settings/gate_file.h"

namespace flashblock {
namespace {

/// A number as short as it can be without becoming another one.
std::string number(double value) {
  char text[64];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return std::string(text, end);
}

class Writer {
 public:
  Writer() { out_ << YAML::BeginMap; }

  void text(const char* key, const std::string& value) {
    out_ << YAML::Key << key << YAML::Value << YAML::DoubleQuoted << value;
  }
  void path(const char* key, const std::filesystem::path& value) {
    if (!value.empty()) text(key, value.string());
  }
  /// Numbers, booleans and names that need no quotes.
  void plain(const char* key, const std::string& value) { out_ << YAML::Key << key << YAML::Value << value; }
  void flag(const char* key, bool value) { plain(key, value ? "true" : "false"); }
  void integer(const char* key, int64_t value) { plain(key, std::to_string(value)); }
  void list(const char* key, const std::vector<double>& values) {
    out_ << YAML::Key << key << YAML::Value << YAML::Flow << YAML::BeginSeq;
    for (const double value : values) out_ << number(value);
    out_ << YAML::EndSeq;
  }

  template <typename Body>
  void map(const char* key, const Body& body) {
    out_ << YAML::Key << key << YAML::Value << YAML::BeginMap;
    body();
    out_ << YAML::EndMap;
  }

  YAML::Emitter& out() { return out_; }
  std::string finish() {
    out_ << YAML::EndMap;
    return std::string(out_.c_str()) + "\n";
  }

 private:
  YAML::Emitter out_;
};

void write_timeline(Writer& writer, const std::vector<PromptChange>& timeline) {
  if (timeline.empty()) return;
  YAML::Emitter& out = writer.out();
  out << YAML::Key << "timeline" << YAML::Value << YAML::BeginSeq;
  for (const PromptChange& change : timeline) {
    out << YAML::BeginMap;
    writer.plain("at", number(change.seconds));
    writer.text("prompt", change.prompt);
    out << YAML::EndMap;
  }
  out << YAML::EndSeq;
}

void write_recipe(Writer& writer, const Recipe& recipe) {
  writer.map("recipe", [&] {
    writer.integer("frames_per_block", recipe.frames_per_block);
    writer.flag("independent_first_frame", recipe.independent_first_frame);
    writer.integer("window_frames", recipe.window_frames);
    writer.integer("sink_frames", recipe.sink_frames);
    writer.integer("position_frames", recipe.position_frames);
    writer.plain("timestep_shift", number(recipe.timestep_shift));
    writer.list("steps", recipe.steps);
    if (!recipe.first_steps.empty()) writer.list("first_steps", recipe.first_steps);
    writer.flag("warp_steps", recipe.warp_steps);
    writer.plain("context_noise", number(recipe.context_noise));
    writer.flag("kv_recache", recipe.kv_recache);
    writer.plain("guidance_scale", number(recipe.guidance_scale));
    if (!recipe.negative_prompt.empty()) writer.text("negative_prompt", recipe.negative_prompt);
    writer.integer("unipc_steps", recipe.unipc_steps);
  });
}

}  // namespace

std::string config_yaml(const RenderConfig& config) {
  Writer writer;
  if (!config.prompt.empty()) writer.text("prompt", config.prompt);
  write_timeline(writer, config.timeline);
  writer.path("model", config.model.file);
  writer.path("output", config.output);
  writer.flag("overwrite", config.overwrite);
  writer.flag("resume", config.resume);
  writer.flag("metadata", config.metadata);
  writer.plain("size", std::to_string(config.width) + "x" + std::to_string(config.height));
  writer.integer("fps", config.fps);
  if (config.frames) writer.integer("frames", *config.frames);
  if (!config.frames) writer.plain("seconds", number(config.seconds));
  if (config.seed) writer.plain("seed", std::to_string(*config.seed));
  writer.path("image", config.image);
  writer.path("video", config.video);
  writer.map("attention", [&] {
    writer.plain("mode", to_string(config.attention.mode));
    const AttentionConfig& attention = config.attention;
    writer.plain("refresh", to_string(attention.refresh));
    if (attention.refresh->reads("attention.gate") && attention.gate) writer.path("gate", attention.gate->name);
    if (attention.refresh->reads("attention.interval")) writer.integer("interval", attention.interval);
    if (attention.refresh->reads("attention.bound")) writer.plain("bound", number(attention.bound));
    writer.plain("correction", to_string(attention.correction));
    if (attention.density == 0) return;
    writer.plain("density", number(attention.density));
    writer.plain("residual", to_string(attention.residual));
  });
  writer.plain("device", config.device);
  writer.plain("dtype", config.dtype);
  writer.flag("cache", config.cache);
  writer.flag("offload", config.offload);
  writer.flag("overlap", config.overlap);
  writer.map("encoder", [&] {
    writer.plain("preset", config.encoder.preset);
    writer.integer("crf", config.encoder.crf);
    writer.integer("threads", config.encoder.threads);
  });
  writer.path("contact_sheet", config.contact_sheet);
  writer.path("record", config.record);
  writer.path("replay", config.replay);
  write_recipe(writer, config.model.recipe);
  return writer.finish();
}

}  // namespace flashblock
