#include "app/analyze_options.h"

#include "core/error.h"

namespace flashblock {
namespace {

VideoPlace parse_video_place(const std::string& name) {
  if (name == "inside") return VideoPlace::kInside;
  if (name == "beside") return VideoPlace::kBeside;
  if (name == "none") return VideoPlace::kNone;
  throw ConfigError("--side-by-side: found '" + name + "', wanted inside, beside or none");
}

}  // namespace

AnalyzeOptions::Common::Common(CLI::App& app) : command(app), options(app) {
  for (const char* shared : {"Prompt", "Video", "Model"}) options.add_group(shared);
  const std::string group = "Analysis";
  command
      .add_option("--policy", asked.policies,
                  "A refresh policy to measure, with its settings if any; repeatable [attention.refresh]")
      ->type_name("NAME[,KEY=VALUE]...")
      ->group(group)
      ->allow_extra_args(false);
  command.add_option("-o,--output", page, "The page; NAME.json is written beside it [named after seed and prompt]")
      ->type_name("NAME.html")
      ->group(group);
  for (const char* key : {"overwrite", "metadata"}) options.add_key(key);
  options.add_configuration();
  command.add_flag("--quiet", asked.quiet, "Print errors only")->group("Run");
  command.add_option("--progress", progress, "auto, bar, json or none")
      ->type_name("STYLE")
      ->capture_default_str()
      ->group("Run");
}

AnalysisRequest AnalyzeOptions::Common::request() {
  asked.progress = parse_progress_style(asked.quiet ? "none" : progress);
  asked.layers = options.layers();
  asked.page = page;
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
  CLI::App& command = fidelity_.command;
  const std::string group = "Analysis";
  command
      .add_option("--other-seed", fidelity_request_.other_seed,
                  "Seed of the video that shows how far apart two videos of the prompt are [seed + 1]")
      ->type_name("N")
      ->group(group);
  command
      .add_option("--side-by-side", video_,
                  "The side-by-side video: inside the page (and beside it), beside it only, or none")
      ->type_name("PLACE")
      ->capture_default_str()
      ->group(group);
  command.add_option("--stills", fidelity_request_.stills, "Images of each rendering in the page")
      ->type_name("N")
      ->check(CLI::Range(1, 100))
      ->capture_default_str()
      ->group(group);
}

void AnalyzeOptions::add_redundancy() {
  CLI::App& command = redundancy_.command;
  const std::string group = "Analysis";
  command
      .add_option("--gate", redundancy_request_.gate,
                  "Write the published gate, calibrated on this video, for attention.gate")
      ->type_name("FILE.yaml")
      ->group(group);
  command
      .add_option("--gate-cosine", redundancy_request_.thresholds.cosine,
                  "The gate refreshes a head below this cosine similarity of its external attention")
      ->type_name("X")
      ->check(CLI::Range(-1.0, 1.0))
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--gate-lse-change", redundancy_request_.thresholds.lse_change,
                  "... and above this mean change of its log-sum-exp")
      ->type_name("X")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group(group);
  command
      .add_flag("--curves", redundancy_request_.points,
                "Measure error against work for every policy at many settings, and for sparse attention")
      ->group(group);
}

std::optional<FidelityRequest> AnalyzeOptions::fidelity() {
  if (!fidelity_.command.parsed()) return {};
  fidelity_request_.analysis = fidelity_.request();
  fidelity_request_.video = parse_video_place(video_);
  return std::move(fidelity_request_);
}

std::optional<RedundancyRequest> AnalyzeOptions::redundancy() {
  if (!redundancy_.command.parsed()) return {};
  redundancy_request_.analysis = redundancy_.request();
  return std::move(redundancy_request_);
}

}  // namespace flashblock
