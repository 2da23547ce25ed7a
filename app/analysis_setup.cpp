#include "app/analysis_setup.h"

#include "core/device.h"
#include "core/error.h"
#include "pipeline/loaded_model.h"
#include "render/own_file.h"
#include "settings/config_identity.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

std::vector<NamedAttention> choose_policies(const AnalysisRequest& request, const RenderConfig& config) {
  std::vector<NamedAttention> policies;
  for (const std::string& words : request.policies) {
    std::vector<ConfigLayer> layers = request.layers;
    for (ConfigLayer& layer : policy_layers(words)) layers.push_back(std::move(layer));
    policies.push_back({.name = words, .attention = resolve_config(layers).attention});
  }
  if (policies.empty()) {
    policies.push_back({.name = to_string(config.attention.refresh), .attention = config.attention});
    policies.back().attention.mode = AttentionConfig::Mode::kFlashblock;
  }
  return policies;
}

std::vector<fs::path> paths_of(const std::vector<std::pair<std::string, fs::path>>& files) {
  std::vector<fs::path> paths;
  paths.reserve(files.size());
  for (const auto& [key, path] : files) paths.push_back(path);
  return paths;
}

}  // namespace

std::vector<ConfigLayer> policy_layers(const std::string& words) {
  std::vector<ConfigLayer> layers = {yaml_layer("--policy", "attention", "flashblock")};
  std::string key = "refresh";
  for (size_t begin = 0; begin <= words.size();) {
    const size_t end = std::min(words.find(',', begin), words.size());
    std::string value = words.substr(begin, end - begin);
    if (begin > 0) {
      const auto equals = value.find('=');
      if (equals == std::string::npos || equals == 0) {
        throw ConfigError("--policy " + words + ": found '" + value + "', wanted KEY=VALUE, a key of attention");
      }
      key = value.substr(0, equals);
      value.erase(0, equals + 1);
    }
    layers.push_back(yaml_layer("--policy", "attention." + key, value));
    begin = end + 1;
  }
  return layers;
}

AnalysisSetup set_up_analysis(const AnalysisRequest& request, const std::string& kind) {
  AnalysisSetup setup{.config = resolve_config(request.layers)};
  RenderConfig& config = setup.config;
  setup.policies = choose_policies(request, config);
  if (request.page.empty()) {
    const std::string video = default_video_name(*config.seed, config.metadata ? config.prompt : "");
    setup.page = fs::current_path() / (fs::path(video).stem().string() + "-" + kind + ".html");
  } else {
    setup.page = fs::absolute(request.page);
    if (setup.page.extension() != ".html") {
      throw ConfigError("--output " + request.page.string() + ": wanted a name that ends in .html");
    }
  }
  setup.json = fs::path(setup.page).replace_extension(".json");
  config.output = fs::path(setup.page).replace_extension(kind == "fidelity" ? ".mp4" : kStreamEnding);
  config.standard_output = kind == "fidelity" ? "" : "-";  // it leaves no video
  config.contact_sheet.clear();
  config.record.clear();
  setup.inputs = paths_of(input_files(config));
  for (const fs::path& file : {setup.page, setup.json}) check_report_file(file, config.overwrite, setup.inputs);
  return setup;
}

CheckedVideo check_analysis(const AnalysisSetup& analysis, Renderer& renderer) {
  if (resolve_devices(analysis.config.device, analysis.config.devices_per_video).size() > 1)
    throw ConfigError("attention is analyzed on one device: leave out the others, and devices_per_video",
                      {.key = "device"});
  CheckedVideo video = renderer.check(analysis.config);
  const TransformerConfig& transformer = renderer.model(analysis.config).transformer_config();
  for (const NamedAttention& policy : analysis.policies) {
    check_attention(policy.attention, analysis.config.model.recipe, transformer);
  }
  return video;
}

}  // namespace flashblock
