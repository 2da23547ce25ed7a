#include "analysis/fidelity.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "analysis/progress_sink.h"
#include "core/check.h"
#include "render/session_setup.h"

namespace flashblock {
namespace {

constexpr double kWindowSeconds = 5;   // at either end of the video
constexpr double kHeliosShare = 0.15;  // of the frames, at either end
constexpr std::array<std::pair<const char*, double FrameStatistics::*>, 4> kStatistics = {
    {{"brightness", &FrameStatistics::brightness},
     {"contrast", &FrameStatistics::contrast},
     {"saturation", &FrameStatistics::saturation},
     {"sharpness", &FrameStatistics::sharpness}}};

/// Mean over blocks, weighted by their frames; what was not measured is left out.
template <typename Value>
double mean_over(const std::vector<BlockMeasures>& blocks, const Value& value) {
  double sum = 0, weight = 0;
  for (const BlockMeasures& block : blocks) {
    const double x = value(block);
    if (std::isnan(x)) continue;
    sum += x * static_cast<double>(block.frames);
    weight += static_cast<double>(block.frames);
  }
  return weight > 0 ? sum / weight : kNotMeasured;
}

FrameStatistics mean_statistics(const std::vector<BlockMeasures>& blocks) {
  FrameStatistics means;
  for (const auto& [name, statistic] : kStatistics) {
    means.*statistic =
        mean_over(blocks, [field = statistic](const BlockMeasures& block) { return block.statistics.*field; });
  }
  return means;
}

/// The blocks that begin in frames `first` to `end`.
std::vector<BlockMeasures> part(const std::vector<BlockMeasures>& blocks, double first, double end) {
  std::vector<BlockMeasures> result;
  std::copy_if(blocks.begin(), blocks.end(), std::back_inserter(result), [&](const BlockMeasures& block) {
    const auto frame = static_cast<double>(block.first_frame);
    return frame >= first && frame < end;
  });
  return result;
}

FrameStatistics drift_between(const FrameStatistics& first, const FrameStatistics& last) {
  FrameStatistics drift;
  for (const auto& [name, statistic] : kStatistics) {
    const double from = first.*statistic;
    drift.*statistic = from > 0 ? last.*statistic / from - 1 : kNotMeasured;
  }
  return drift;
}

MeasuredRun measure_run(const FidelityRun& run, const RenderSetup& setup, const SessionInputs& inputs,
                        LoadedModel& model, const VideoMeter::Options& options, RenderObserver& observer,
                        const std::stop_token& stop) {
  SessionOptions session_of = session_options(setup, model);
  session_of.attention = run.attention;
  session_of.keep_pixels = false;
  VideoMeter meter(options);
  Profile profile;
  ProgressSink sink(observer, setup.plan.blocks, &meter);
  RenderSession session(model.transformer(), model.decoder(), session_of, profile);
  MeasuredRun measured{.run = run, .counts = session.render(setup.plan, inputs, sink, stop).counts};
  measured.blocks = meter.blocks();
  measured.thumbnails = meter.thumbnails();
  measured.start_end = start_end_difference(meter.frame_statistics());
  measured.motion_amplitude = meter.motion_amplitude();
  return measured;
}

}  // namespace

std::vector<FidelityRun> fidelity_runs(const std::vector<NamedAttention>& policies, uint64_t seed,
                                       uint64_t other_seed) {
  using Mode = AttentionConfig::Mode;
  using Kind = FidelityRun::Kind;
  const AttentionConfig exact{.mode = Mode::kExact};
  std::vector<FidelityRun> runs = {{.name = "exact", .kind = Kind::kExact, .attention = exact, .seed = seed}};
  for (const auto& [name, attention] : policies) {
    runs.push_back({.name = name, .kind = Kind::kPolicy, .attention = attention, .seed = seed});
  }
  runs.push_back({.name = "noise floor",
                  .kind = Kind::kNoiseFloor,
                  .attention = {.mode = Mode::kFlashblock, .refresh = "every_pass"},
                  .seed = seed});
  runs.push_back({.name = "other seed", .kind = Kind::kOtherSeed, .attention = exact, .seed = other_seed});
  return runs;
}

double MeasuredRun::computed_share() const {
  const auto computed = static_cast<double>(counts.transformer.external_computed);
  const double all = computed + static_cast<double>(counts.transformer.external_reused);
  return all > 0 ? computed / all : kNotMeasured;
}

VideoSummary summarize(const std::vector<BlockMeasures>& blocks, double latent_range, int64_t fps) {
  FB_CHECK(!blocks.empty());
  const double end = static_cast<double>(blocks.back().first_frame + blocks.back().frames);
  const double window = std::min(kWindowSeconds * static_cast<double>(fps), end / 2);
  const auto mean = [&](double BlockMeasures::*value) {
    return mean_over(blocks, [=](const BlockMeasures& block) { return block.*value; });
  };
  VideoSummary summary;
  summary.latent_psnr = psnr(mean(&BlockMeasures::latent_error), latent_range);
  summary.latent_ssim = mean(&BlockMeasures::latent_ssim);
  summary.frame_psnr = psnr(mean(&BlockMeasures::frame_error), 1.0);
  summary.frame_ssim = mean(&BlockMeasures::frame_ssim);
  const double early = mean_over(part(blocks, 0, kWindowSeconds * static_cast<double>(fps)),
                                 [](const BlockMeasures& block) { return block.frame_error; });
  summary.early_frame_psnr = psnr(early, 1.0);
  summary.mean = mean_statistics(blocks);
  const FrameStatistics first = mean_statistics(part(blocks, 0, window));
  summary.drift = drift_between(first, mean_statistics(part(blocks, window, end)));
  summary.end_drift = drift_between(first, mean_statistics(part(blocks, end - window, end)));
  summary.flicker = mean(&BlockMeasures::flicker);
  const double within = mean(&BlockMeasures::change_within);
  if (within > 0) summary.border_jump = mean(&BlockMeasures::change_at_border) / within;
  return summary;
}

FrameStatistics start_end_difference(const std::vector<FrameStatistics>& frames) {
  FB_CHECK(!frames.empty());
  const auto count = std::max<std::ptrdiff_t>(1, static_cast<std::ptrdiff_t>(kHeliosShare * frames.size()));
  FrameStatistics difference;
  for (const auto& [name, statistic] : kStatistics) {
    const auto add = [field = statistic](double sum, const FrameStatistics& frame) { return sum + frame.*field; };
    const double start = std::accumulate(frames.begin(), frames.begin() + count, 0.0, add);
    const double end = std::accumulate(frames.end() - count, frames.end(), 0.0, add);
    difference.*statistic = std::abs(end - start) / static_cast<double>(count);
  }
  return difference;
}

std::array<std::pair<const char*, double>, 4> named(const FrameStatistics& statistics) {
  std::array<std::pair<const char*, double>, kStatistics.size()> values;
  for (size_t i = 0; i < values.size(); ++i) values[i] = {kStatistics[i].first, statistics.*kStatistics[i].second};
  return values;
}

const MeasuredRun& Fidelity::of(FidelityRun::Kind kind) const {
  const auto found = std::find_if(runs.begin(), runs.end(), [&](const auto& run) { return run.run.kind == kind; });
  FB_CHECK(found != runs.end());
  return *found;
}

FidelityVerdict judge(const MeasuredRun& run, const Fidelity& fidelity) {
  const VideoSummary& exact = fidelity.of(FidelityRun::Kind::kExact).summary;
  const VideoSummary& floor = fidelity.of(FidelityRun::Kind::kNoiseFloor).summary;
  FidelityVerdict verdict;
  const auto drifts = named(run.summary.drift), exact_drifts = named(exact.drift);
  for (size_t i = 0; i < drifts.size(); ++i) {
    const double difference = std::abs(drifts[i].second - exact_drifts[i].second);
    if (std::isnan(difference) || difference <= verdict.drift_difference) continue;
    verdict.drift_difference = difference;
    verdict.drifting = drifts[i].first;
  }
  const double early = run.summary.early_frame_psnr;
  verdict.early_loss_db = std::isinf(early) ? 0 : floor.early_frame_psnr - early;
  verdict.saves = run.computed_share() <= FidelityVerdict::kMaxShare;
  verdict.keeps_drift = verdict.drift_difference <= FidelityVerdict::kMaxDriftDifference;
  verdict.is_rounding = verdict.early_loss_db <= FidelityVerdict::kMaxLossDb;
  return verdict;
}

std::optional<Fidelity> measure_fidelity(const RenderSetup& setup, LoadedModel& model,
                                         const std::vector<FidelityRun>& runs, MotionMeasured motion,
                                         RenderObserver& observer, const std::stop_token& stop) {
  FB_CHECK(!runs.empty() && runs.front().kind == FidelityRun::Kind::kExact, "the exact run comes first");
  const SessionInputs inputs = make_inputs(setup, model, observer);
  const int64_t start_frames = setup.geometry.frames_of(setup.plan.initial_frames);
  ReferenceVideo reference;
  Fidelity result;
  for (size_t i = 0; i < runs.size(); ++i) {
    observer.stage(runs[i].name + " (" + std::to_string(i + 1) + " of " + std::to_string(runs.size()) + ")",
                   {.blocks = setup.plan.blocks});
    SessionInputs own = inputs;
    if (runs[i].kind == FidelityRun::Kind::kOtherSeed) own.noise = std::make_shared<SeededNoise>(runs[i].seed);
    const VideoMeter::Options options{.frames = setup.plan.frames - start_frames,
                                      .reference = i == 0 ? nullptr : &reference,
                                      .keep = i == 0 ? &reference : nullptr,
                                      .motion = motion == MotionMeasured::kYes};
    MeasuredRun measured = measure_run(runs[i], setup, own, model, options, observer, stop);
    if (measured.counts.blocks_written < setup.plan.blocks) return {};
    measured.summary = summarize(measured.blocks, reference.latent_range(), setup.config.fps);
    result.runs.push_back(std::move(measured));
  }
  result.latent_range = reference.latent_range();
  return result;
}

}  // namespace flashblock
