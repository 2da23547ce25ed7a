#include <cmath>

#include "analysis/fidelity_report.h"
#include "analysis/html_page.h"

namespace flashblock {
namespace {

using Kind = FidelityRun::Kind;

std::string decibels(double value) { return number_text(value, 1, "infinitely many") + " dB"; }

std::string nearness(const MeasuredRun& run, const FidelityReport& report, const FidelityVerdict& verdict) {
  const VideoSummary& floor = report.fidelity.of(Kind::kNoiseFloor).summary;
  const VideoSummary& ceiling = report.fidelity.of(Kind::kOtherSeed).summary;
  if (std::isinf(run.summary.early_frame_psnr)) return "Its first 5 s equal the exact video bit for bit.";
  std::string text = "Over the first 5 s its frames are " + decibels(run.summary.early_frame_psnr) +
                     " from the exact ones; exact attention summed in another order is " +
                     decibels(floor.early_frame_psnr) + " away, another seed " + decibels(ceiling.early_frame_psnr) +
                     ".";
  text += verdict.is_rounding ? " That is no more than rounding does."
                              : " That is more than rounding does: it is another, close video.";
  return text;
}

std::string drift_words(const MeasuredRun& run, const FidelityReport& report, const FidelityVerdict& verdict) {
  if (std::isnan(verdict.drift_difference)) return "The video is too short to tell whether it drifts.";
  const auto points = [](double part) { return number_text(100 * part, 1) + " %"; };
  const FidelityVerdict other = judge(report.fidelity.of(Kind::kOtherSeed), report.fidelity);
  return "After its first 5 s, brightness, contrast, saturation and sharpness move as they do in the exact video, to "
         "within " +
         points(verdict.drift_difference) + " (" + verdict.drifting + "); another seed differs by up to " +
         points(other.drift_difference) + " (" + other.drifting + "). Flicker is " +
         number_text(run.summary.flicker / report.fidelity.runs.front().summary.flicker, 2) +
         " times that of the exact video, the jump at borders of frame blocks " +
         number_text(run.summary.border_jump, 2) + " against " +
         number_text(report.fidelity.runs.front().summary.border_jump, 2) + " (1: none).";
}

}  // namespace

std::string fidelity_words(const FidelityReport& report, const MeasuredRun& policy) {
  const FidelityVerdict verdict = judge(policy, report.fidelity);
  std::string words = "Computed the attention over earlier frame blocks in " +
                      number_text(100 * policy.computed_share(), 1) +
                      " % of the passes that exact attention computes it in. ";
  if (std::isnan(policy.computed_share())) words = "Had no earlier frame block to attend to. ";
  return words + nearness(policy, report, verdict) + " " + drift_words(policy, report, verdict);
}

}  // namespace flashblock
