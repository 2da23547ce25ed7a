#include "app/analyze_options.h"

#include <unistd.h>

#include "core/error.h"
#include "render/render_setup.h"
#include "settings/model_file.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

/// NAME,KEY=VALUE,... as settings of `attention`.
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

std::vector<ChosenPolicy> choose_policies(const AnalysisRequest& request, const RenderConfig& config) {
  std::vector<ChosenPolicy> policies;
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

}  // namespace

AnalyzeOptions::Common::Common(CLI::App& app) : command(app), options(app), group(app, "Analysis") {
  for (const char* shared : {"Prompt", "Video", "Model"}) options.add_group(shared);
  group.add("--policy", asked.policies, "NAME[,KEY=VALUE]...",
            "A refresh policy to measure, with its settings if any; repeatable [attention.refresh]");
  group.add("-o,--output", asked.page, "NAME.html",
            "The page; NAME.json is written beside it [named after seed and prompt]");
  for (const char* key : {"overwrite", "metadata"}) options.add_key(key);
  options.add_configuration();
  add_progress({app, "Run"}, asked.quiet, asked.progress);
}

AnalysisRequest AnalyzeOptions::Common::request() {
  if (asked.quiet) asked.progress = ProgressStyle::kNone;
  asked.layers = options.layers();
  return std::move(asked);
}

AnalyzeOptions::AnalyzeOptions(CLI::App& app)
    : analyze_(
          *app.add_subcommand("analyze", "Measure how much attention repeats, and what reusing it costs in quality")),
      redundancy_(*analyze_.add_subcommand("redundancy",
                                           "Render a video and measure how attention changes from pass to pass, per "
                                           "layer and head, and what each policy "
                                           "computes: a page with heat maps, and the numbers as JSON")),
      fidelity_(*analyze_.add_subcommand(
          "fidelity",
          "Render a video with exact and with reused attention and compare them: a page with curves, images and a "
          "video, and the numbers as JSON")) {
  analyze_.require_subcommand(1);
  add_redundancy();
  fidelity_.group.add("--other-seed", fidelity_request_.other_seed, "N",
                      "Seed of the video that shows how far apart two videos of the prompt are [seed + 1]");
  fidelity_.group.add_choice<VideoPlace>(
      "--side-by-side", fidelity_request_.video, "PLACE",
      "The side-by-side video: inside the page (and beside it), beside it only, or none",
      {{"inside", VideoPlace::kInside}, {"beside", VideoPlace::kBeside}, {"none", VideoPlace::kNone}});
  fidelity_.group.add("--stills", fidelity_request_.stills, "N", "Images of each rendering in the page")
      ->check(CLI::Range(1, 100));
}

void AnalyzeOptions::add_redundancy() {
  const OptionGroup& group = redundancy_.group;
  GateThresholds& thresholds = redundancy_request_.thresholds;
  group.add("--gate", redundancy_request_.gate, "FILE.yaml",
            "Write the published gate, calibrated on this video, for attention.gate");
  group
      .add("--gate-cosine", thresholds.cosine, "X",
           "The gate refreshes a head below this cosine similarity of its external attention")
      ->check(CLI::Range(-1.0, 1.0));
  group.add("--gate-lse-change", thresholds.lse_change, "X", "... and above this mean change of its log-sum-exp")
      ->check(CLI::NonNegativeNumber);
  group.add_flag("--curves", redundancy_request_.points,
                 "Measure error against work for every policy at many settings, and for sparse attention");
}

std::optional<FidelityRequest> AnalyzeOptions::fidelity() {
  if (!fidelity_.command.parsed()) return {};
  fidelity_request_.analysis = fidelity_.request();
  return std::move(fidelity_request_);
}

std::optional<RedundancyRequest> AnalyzeOptions::redundancy() {
  if (!redundancy_.command.parsed()) return {};
  redundancy_request_.analysis = redundancy_.request();
  return std::move(redundancy_request_);
}

void check_analysis_file(const fs::path& file, bool overwrite) {
  const fs::path folder = file.parent_path();
  if (!fs::is_directory(folder))
    throw MediaError(file.string() + ": the folder " + folder.string() + " does not exist");
  if (access(folder.c_str(), W_OK) != 0) {
    throw MediaError(file.string() + ": the folder " + folder.string() + " is not writable");
  }
  if (fs::is_directory(file)) throw ConfigError(file.string() + " is a folder: choose another name");
  if (!overwrite && fs::exists(file)) {
    throw ConfigError(file.string() + " exists already: choose another name, or use --overwrite");
  }
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
  config.output = fs::path(setup.page).replace_extension(".mp4");
  config.contact_sheet.clear();
  config.record.clear();
  for (const fs::path& file : {setup.page, setup.json}) check_analysis_file(file, config.overwrite);
  check_model_files(config.model, needed_parts(config));
  return setup;
}

}  // namespace flashblock
