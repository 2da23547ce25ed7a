#include "analysis/fidelity_report.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "analysis/side_by_side.h"
#include "core/html_page.h"
#include "media/jpeg_encoder.h"

namespace flashblock {
namespace {

using Json = nlohmann::ordered_json;
using Kind = FidelityRun::Kind;

constexpr int kStillQuantizer = 4;

Json number(double value) { return rounded(value, 6); }

std::string decibels(double value) { return number_text(value, 1, "infinitely many") + " dB"; }

std::string nearness_in_words(const MeasuredRun& run, const Fidelity& fidelity, const FidelityVerdict& verdict) {
  if (std::isinf(run.summary.early_frame_psnr)) return "Its first 5 s equal the exact video bit for bit.";
  const std::string text =
      "Over the first 5 s its PSNR against the exact video is " + decibels(run.summary.early_frame_psnr) +
      "; that of exact attention summed in another order is " +
      decibels(fidelity.of(Kind::kNoiseFloor).summary.early_frame_psnr) + ", that of another seed " +
      decibels(fidelity.of(Kind::kOtherSeed).summary.early_frame_psnr) + ". ";
  return text + (verdict.is_rounding ? "The difference is no larger than that of rounding."
                                     : "The difference is larger than that of rounding: a different, similar video.");
}

std::string drift_in_words(const MeasuredRun& run, const Fidelity& fidelity, const FidelityVerdict& verdict) {
  if (std::isnan(verdict.drift_difference)) return "The video is too short to measure drift.";
  const FidelityVerdict other = judge(fidelity.of(Kind::kOtherSeed), fidelity);
  const VideoSummary& exact = fidelity.runs.front().summary;
  return "After the first 5 s, brightness, contrast, saturation and sharpness drift as in the exact video to within " +
         percent_text(verdict.drift_difference) + " (" + verdict.drifting + "); those of another seed to within " +
         percent_text(other.drift_difference) + " (" + other.drifting + "). Flicker is " +
         number_text(run.summary.flicker / exact.flicker, 2) +
         " times that of the exact video, the jump at borders of frame blocks " +
         number_text(run.summary.border_jump, 2) + " against " + number_text(exact.border_jump, 2) + " (1: none).";
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
               {"frames", over_blocks(run, [](Block b) { return static_cast<double>(b.frames); })},
               {"latent_psnr_db", over_blocks(run, [=](Block b) { return psnr(b.latent_error, latent_range); })},
               {"latent_ssim", over_blocks(run, [](Block b) { return b.latent_ssim; })},
               {"frame_psnr_db", over_blocks(run, [](Block b) { return psnr(b.frame_error, 1); })},
               {"frame_ssim", over_blocks(run, [](Block b) { return b.frame_ssim; })},
               {"flicker", over_blocks(run, [](Block b) { return b.flicker; })},
               {"border_jump", over_blocks(run, [](Block b) { return b.change_at_border / b.change_within; })}};
  const auto names = named(run.summary.mean);
  for (size_t i = 0; i < names.size(); ++i) {
    json[names[i].first] = over_blocks(run, [&](Block b) { return named(b.statistics)[i].second; });
  }
  return json;
}

Json verdict_json(const Fidelity& fidelity, const MeasuredRun& run) {
  const FidelityVerdict verdict = judge(run, fidelity);
  return {{"computes_at_most_40_percent", verdict.saves},
          {"drifts_within_2_percent_of_exact", verdict.keeps_drift},
          {"largest_drift_difference", number(verdict.drift_difference)},
          {"drift_difference_is_of", verdict.drifting},
          {"first_5_seconds_within_3_db_of_noise_floor", verdict.is_rounding},
          {"first_5_seconds_below_noise_floor_db", number(verdict.early_loss_db)},
          {"in_words", fidelity_in_words(fidelity, run)}};
}

const char* kind_name(Kind kind) {
  switch (kind) {
    case Kind::kExact:
      return "exact";
    case Kind::kPolicy:
      return "policy";
    case Kind::kNoiseFloor:
      return "noise floor";
    case Kind::kOtherSeed:
      return "other seed";
  }
  return "";
}

Json run_json(const Fidelity& fidelity, const MeasuredRun& run) {
  Json json = {{"name", run.run.name},
               {"kind", kind_name(run.run.kind)},
               {"seed", run.run.seed},
               {"attention", {{"mode", to_string(run.run.attention.mode)}}},
               {"external_attentions_computed", run.counts.transformer.external_computed},
               {"external_attentions_reused", run.counts.transformer.external_reused},
               {"computed_share", number(run.computed_share())},
               {"summary", summary_json(run.summary)},
               {"start_end_difference", statistics_json(run.start_end)},
               {"motion_amplitude", number(run.motion_amplitude)}};
  if (run.run.kind == Kind::kPolicy) json["verdict"] = verdict_json(fidelity, run);
  json["blocks"] = blocks_json(run, fidelity.latent_range);
  return json;
}

}  // namespace

std::string fidelity_in_words(const Fidelity& fidelity, const MeasuredRun& policy) {
  const FidelityVerdict verdict = judge(policy, fidelity);
  const std::string computed = std::isnan(policy.computed_share())
                                   ? "There was no earlier frame block to attend to."
                                   : "Computed the external attention in " + percent_text(policy.computed_share()) +
                                         " of passes and reused it in the rest.";
  return computed + " " + nearness_in_words(policy, fidelity, verdict) + " " +
         drift_in_words(policy, fidelity, verdict);
}

Json fidelity_json(const CheckedVideo& video, const Fidelity& fidelity) {
  Json json = report_head("fidelity", video);
  json["latent_range"] = number(fidelity.latent_range);
  json["runs"] = Json::array();
  for (const MeasuredRun& run : fidelity.runs) json["runs"].push_back(run_json(fidelity, run));
  return json;
}

Json fidelity_stills(const Fidelity& fidelity, int64_t moments, int64_t fps) {
  const BlockMeasures& last = fidelity.runs.front().blocks.back();
  const int64_t frames = last.first_frame + last.frames, count = std::min(moments, frames);
  Json stills = Json::array();
  for (int64_t i = 0; i < count; ++i) {
    const int64_t frame = count == 1 ? 0 : i * (frames - 1) / (count - 1);
    Json images = Json::array();
    for (const MeasuredRun& run : fidelity.runs) {
      images.push_back(data_uri("image/jpeg", encode_jpeg(thumbnail_at(run, frame), kStillQuantizer)));
    }
    stills.push_back({{"seconds", static_cast<double>(frame) / static_cast<double>(fps)}, {"images", images}});
  }
  return stills;
}

}  // namespace flashblock
