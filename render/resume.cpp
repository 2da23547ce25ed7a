#include "render/resume.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <optional>
#include <sstream>

#include "core/error.h"
#include "media/video_writer.h"
#include "render/sidecar.h"
#include "settings/config_reader.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

/// Whether `name` is that of a video with a seed that was drawn, for a prompt whose words end the name.
bool fits(const std::string& name, const std::string& words, bool any_words) {
  const std::string front = "flashblock-";
  if (!name.starts_with(front)) return false;
  const size_t end = name.find_first_not_of("0123456789", front.size());
  const std::string rest = end == std::string::npos ? "" : name.substr(end);
  return end != front.size() && (any_words || rest == words);
}

/// The unfinished video of the current folder that a prompt's default name fits; empty: none.
fs::path find_unfinished(const RenderConfig& config) {
  const std::string words =
      fs::path(default_video_name(0, config.prompt)).stem().string().substr(std::string("flashblock-0").size());
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(fs::current_path())) {
    const fs::path& path = entry.path();
    const bool unfinished = path.extension() == ".parts" && fs::exists(path / "configuration.yaml");
    if (unfinished && fits(path.stem().string(), words, config.prompt.empty())) found.push_back(path);
  }
  if (found.empty()) return {};
  std::sort(found.begin(), found.end());
  if (found.size() > 1) {
    throw ConfigError("--resume: there are " + std::to_string(found.size()) + " unfinished videos that may be meant, " +
                      found[0].string() + " and " + found[1].string() + (found.size() > 2 ? " among them" : "") +
                      ": name the video with --output");
  }
  return fs::path(found.front()).replace_extension(".mp4");
}

/// What was kept with an unfinished video, or is told beside a complete one.
std::optional<ConfigLayer> kept_settings(const fs::path& video) {
  const fs::path unfinished = parts_folder(video) / "configuration.yaml";
  if (fs::exists(unfinished)) return load_config_layer(unfinished);
  const fs::path account = sidecar_file(video);
  if (video_state(video) != VideoState::kComplete || !fs::exists(account)) return std::nullopt;
  const YAML::Node configuration = YAML::LoadFile(account.string())["configuration"];
  if (!configuration.IsMap()) return std::nullopt;
  return ConfigLayer{.values = YamlValue(configuration, {.file = account.string(), .key = ""}),
                     .folder = account.parent_path()};
}

}  // namespace

RenderConfig resolve_resumable(const std::vector<ConfigLayer>& layers) {
  RenderConfig asked;  // without the model, which the kept settings may name
  for (const ConfigLayer& layer : layers) read_settings(layer, asked);
  if (!asked.resume) return resolve_config(layers);
  fs::path video = asked.output;
  if (video.empty() && asked.seed && !asked.prompt.empty()) {
    video = fs::current_path() / default_video_name(*asked.seed, asked.metadata ? asked.prompt : "");
  }
  if (video.empty()) video = find_unfinished(asked);
  const auto kept = video.empty() ? std::nullopt : kept_settings(video);
  if (!kept) return resolve_config(layers);
  std::vector<ConfigLayer> all = {*kept};
  all.insert(all.end(), layers.begin(), layers.end());
  all.push_back(make_config_layer("--output", "output", YAML::Node(video.string())));
  return resolve_config(all);
}

std::string shell_word(const std::string& text) {
  const std::string plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+=:,./-";
  if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string resume_command(const RenderConfig& config) {
  std::ostringstream command;
  command << "flashblock render --resume --output " << shell_word(config.output.string());
  if (config.metadata) return command.str();
  // The prompts are not kept with the video.
  if (!config.prompt.empty()) command << " --prompt " << shell_word(config.prompt);
  for (const PromptChange& change : config.timeline) {
    std::ostringstream text;
    text << change.seconds << "=" << change.prompt;
    command << " --prompt-at " << shell_word(text.str());
  }
  if (!config.model.recipe.negative_prompt.empty()) {
    command << " --set " << shell_word("recipe.negative_prompt=" + config.model.recipe.negative_prompt);
  }
  return command.str();
}

}  // namespace flashblock
