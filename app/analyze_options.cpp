#include "app/analyze_options.h"

namespace flashblock {

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
          "video, and the numbers as JSON")),
      text_(analyze_) {
  analyze_.require_subcommand(1);
  add_redundancy();
  fidelity_.group.add("--other-seed", fidelity_request_.other_seed, "N",
                      "Seed of the video that shows how far apart two videos of the prompt are [seed + 1]");
  fidelity_.group.add_choice<VideoPlace>(
      "--side-by-side", fidelity_request_.video, "inside|beside|none",
      "The side-by-side video: inside the page (and beside it), beside it only, or none",
      {{"inside", VideoPlace::kInside}, {"beside", VideoPlace::kBeside}, {"none", VideoPlace::kNone}});
  fidelity_.group.add("--stills", fidelity_request_.stills, "N", "Images of each rendering in the page")
      ->check(CLI::Range(1, 100));
  fidelity_.group.add_flag("--motion", fidelity_request_.motion,
                           "Also measure the motion amplitude, which takes about 0.1 s of one core a frame");
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
      ->check(CLI::Range(0.0, 1e6));
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

}  // namespace flashblock
