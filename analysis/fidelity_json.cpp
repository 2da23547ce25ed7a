#include <cmath>
#include <nlohmann/json.hpp>

#include "analysis/fidelity_report.h"
#include "render/sidecar.h"
#include "settings/config_file.h"

namespace flashblock {
namespace {

using Json = nlohmann::ordered_json;

/// Six digits are more than any measure is good for.
Json number(double value) {
  if (!std::isfinite(value)) return nullptr;
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return std::stod(text);
}

Json statistics_json(const FrameStatistics& statistics) {
  Json json;
  for (const auto& [name, value] : named(statistics)) json[name] = number(value);
  return json;
}

Json summary_json(const VideoSummary& summary) {
  return {{"latent_psnr_db", number(summary.latent_psnr)},
          {"latent_ssim", number(summary.latent_ssim)},
          {"frame_psnr_db", number(summary.frame_psnr)},
          {"frame_ssim", number(summary.frame_ssim)},
          {"first_5_seconds_frame_psnr_db", number(summary.early_frame_psnr)},
          {"mean", statistics_json(summary.mean)},
          {"drift", statistics_json(summary.drift)},
          {"end_drift", statistics_json(summary.end_drift)},
          {"flicker", number(summary.flicker)},
          {"border_jump", number(summary.border_jump)}};
}

template <typename Value>
Json over_blocks(const MeasuredRun& run, const Value& value) {
  Json list = Json::array();
  for (const BlockMeasures& block : run.blocks) list.push_back(number(value(block)));
  return list;
}

Json blocks_json(const MeasuredRun& run, double latent_range) {
  using Block = const BlockMeasures&;
  Json json = {{"first_frame", over_blocks(run, [](Block b) { return static_cast<double>(b.first_frame); })},
               {"latent_psnr_db", over_blocks(run, [=](Block b) { return psnr(b.latent_error, latent_range); })},
               {"latent_ssim", over_blocks(run, [](Block b) { return b.latent_ssim; })},
               {"frame_psnr_db", over_blocks(run, [](Block b) { return psnr(b.frame_error, 1); })},
               {"frame_ssim", over_blocks(run, [](Block b) { return b.frame_ssim; })},
               {"flicker", over_blocks(run, [](Block b) { return b.flicker; })},
               {"border_jump", over_blocks(run, [](Block b) { return b.change_at_border / b.change_inside; })}};
  const auto names = named(run.summary.mean);
  for (size_t i = 0; i < names.size(); ++i) {
    json[names[i].first] = over_blocks(run, [&](Block b) { return named(b.statistics)[i].second; });
  }
  return json;
}

Json verdict_json(const FidelityVerdict& verdict) {
  return {{"computes_at_most_40_percent", verdict.saves},
          {"drifts_within_2_percent_of_exact", verdict.keeps_drift},
          {"largest_drift_difference", number(verdict.drift_difference)},
          {"drift_difference_is_of", verdict.drifting},
          {"first_5_seconds_within_3_db_of_noise_floor", verdict.is_rounding},
          {"first_5_seconds_below_noise_floor_db", number(verdict.early_loss_db)}};
}

const char* kind_name(FidelityRun::Kind kind) {
  switch (kind) {
    case FidelityRun::Kind::kExact:
      return "exact";
    case FidelityRun::Kind::kPolicy:
      return "policy";
    case FidelityRun::Kind::kNoiseFloor:
      return "noise floor";
    case FidelityRun::Kind::kOtherSeed:
      return "other seed";
  }
  return "";
}

}  // namespace

std::string fidelity_json(const FidelityReport& report) {
  const RenderConfig& config = report.setup.config;
  Json runs = Json::array();
  for (const MeasuredRun& run : report.fidelity.runs) {
    Json entry = {{"name", run.run.name},
                  {"kind", kind_name(run.run.kind)},
                  {"seed", run.run.seed},
                  {"attention", {{"mode", to_string(run.run.attention.mode)}}},
                  {"external_attentions_computed", run.counts.transformer.external_computed},
                  {"external_attentions_reused", run.counts.transformer.external_reused},
                  {"computed_share", number(run.computed_share())},
                  {"summary", summary_json(run.summary)}};
    if (run.run.kind == FidelityRun::Kind::kPolicy) entry["verdict"] = verdict_json(judge(run, report.fidelity));
    entry["blocks"] = blocks_json(run, report.fidelity.latent_range);
    runs.push_back(entry);
  }
  const Json json = {{"program", "flashblock " FLASHBLOCK_VERSION},
                     {"analysis", "fidelity"},
                     {"model", config.model.name},
                     {"device", report.device},
                     {"dtype", report.dtype},
                     {"frames", report.setup.plan.frames},
                     {"frame_blocks", report.setup.plan.blocks},
                     {"latent_range", number(report.fidelity.latent_range)},
                     {"configuration", config_yaml(told_config(config))},
                     {"runs", runs}};
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace flashblock
