#include "render/resume.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "core/error.h"
#include "media/video_writer.h"
#include "render/own_file.h"
#include "render/sidecar.h"
#include "settings/config_file.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

/// Whether `name` is a default name, flashblock-SEED-WORDS, with these words of a prompt, and this seed if any.
bool fits(const std::string& name, const std::string& words, const RenderConfig& asked) {
  const std::string front = "flashblock-";
  if (!name.starts_with(front)) return false;
  const size_t end = name.find_first_not_of("0123456789", front.size());
  const std::string rest = end == std::string::npos ? "" : name.substr(end);
  const std::string seed = name.substr(front.size(), end == std::string::npos ? end : end - front.size());
  if (seed.empty() || (asked.seed && std::to_string(*asked.seed) != seed)) return false;
  return asked.prompt.empty() || rest == words;
}

/// The unfinished video of the current folder whose default name fits the prompt; empty: none.
fs::path find_unfinished(const RenderConfig& config) {
  const std::string words =
      fs::path(default_video_name(0, config.prompt)).stem().string().substr(std::string("flashblock-0").size());
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(fs::current_path())) {
    const fs::path& path = entry.path();
    const bool unfinished = path.extension() == ".parts" && fs::exists(path / "configuration.yaml");
    if (unfinished && fits(path.stem().string(), words, config)) found.push_back(path);
  }
  if (found.empty()) return {};
  std::sort(found.begin(), found.end());
  if (found.size() > 1) {
    throw ConfigError(std::to_string(found.size()) + " unfinished videos could be resumed, " + found[0].string() +
                          " and " + found[1].string() + (found.size() > 2 ? " among them" : ""),
                      {.key = "output", .remedies = {{"name the video", "output", ""}}});
  }
  return fs::path(found.front()).replace_extension(".mp4");
}

/// The prompts that were written from the same wish when the video was begun.
void use_written_prompts(RenderConfig& begun, RenderConfig& config) {
  config.wish = std::move(begun.wish);
  config.prompt = std::move(begun.prompt);
  config.timeline = std::move(begun.timeline);
  config.expand.clear();
}

}  // namespace

std::optional<ConfigLayer> stored_settings(const fs::path& video) {
  const fs::path unfinished = parts_folder(video) / "configuration.yaml";
  if (fs::exists(unfinished)) return load_config_layer(unfinished);
  const fs::path sidecar = sidecar_file(video);
  if (video_state(video) != VideoState::kComplete || !is_own_file(sidecar)) return std::nullopt;
  try {
    const YAML::Node configuration = YAML::LoadFile(sidecar.string())["configuration"];
    if (!configuration.IsMap()) return std::nullopt;
    return ConfigLayer{.values = YamlValue(configuration, {.file = sidecar.string(), .key = ""}),
                       .folder = sidecar.parent_path()};
  } catch (const YAML::Exception&) {
    return std::nullopt;
  }
}

RenderConfig resolve_resumable(const std::vector<ConfigLayer>& layers) {
  RenderConfig asked;  // without the model, which the stored settings may name
  for (const ConfigLayer& layer : layers) read_settings(layer, asked);
  if (!asked.resume) return resolve_config(layers);
  fs::path video = asked.output;
  if (video.empty() && asked.seed && !asked.prompt.empty()) {
    video = fs::current_path() / default_video_name(*asked.seed, asked.metadata ? asked.prompt : "");
  }
  if (video.empty()) video = find_unfinished(asked);
  const auto stored = video.empty() ? std::nullopt : stored_settings(video);
  if (!stored) return resolve_config(layers);
  std::vector<ConfigLayer> all = {*stored};
  all.insert(all.end(), layers.begin(), layers.end());
  const std::string& output = asked.standard_output.empty() ? video.string() : asked.standard_output;
  all.push_back(make_config_layer("output", "output", YAML::Node(output)));
  RenderConfig config = resolve_config(all);
  std::erase_if(config.sources, [&](const fs::path& file) {
    return file == sidecar_file(video) || file.parent_path() == parts_folder(video);
  });
  RenderConfig begun;
  read_settings(*stored, begun);
  if (!config.expand.empty() && !begun.wish.empty() && config.prompt == begun.wish) use_written_prompts(begun, config);
  return config;
}

}  // namespace flashblock
