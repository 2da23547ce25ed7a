// What reused attention costs in quality: one video rendered several times, each compared with the exact one.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "analysis/named_attention.h"
#include "analysis/video_measures.h"
#include "render/render.h"

namespace flashblock {

/// One rendering of the video.
struct FidelityRun {
  enum class Kind {
    kExact,       ///< one softmax over all keys in every pass: the reference
    kPolicy,      ///< the attention that is judged
    kNoiseFloor,  ///< exact, summed in another order: separately over earlier blocks and over the block, then merged
    kOtherSeed,   ///< exact, with other noise: how far apart two videos of the same prompt are
  };
  std::string name;
  Kind kind = Kind::kPolicy;
  AttentionConfig attention;
  uint64_t seed = 0;
};

/// The runs around `policies`: the exact one first, then the policies, then noise
/// floor and other seed.
std::vector<FidelityRun> fidelity_runs(const std::vector<NamedAttention>& policies, uint64_t seed, uint64_t other_seed);

/// A video's measures.
struct VideoSummary {
  double latent_psnr = kNotMeasured;  ///< dB, from the mean square error over the video; peak: the exact latents' range
  double latent_ssim = kNotMeasured;  ///< mean over blocks
  double frame_psnr = kNotMeasured;   ///< dB, peak 1
  double frame_ssim = kNotMeasured;
  double early_frame_psnr = kNotMeasured;  ///< the same over the first 5 s
  FrameStatistics mean;                    ///< over the video
  FrameStatistics drift;      ///< mean after the first 5 s (at most half of the video) over the mean in them, minus 1
  FrameStatistics end_drift;  ///< the same of the last 5 s alone; depends on what is shown there
  double flicker = kNotMeasured;
  double border_jump = kNotMeasured;  ///< mean change at borders of blocks over mean change within; 1: none
};

/// A rendering, measured.
struct MeasuredRun {
  FidelityRun run;
  RenderCounts counts;
  std::vector<BlockMeasures> blocks;
  VideoSummary summary;
  std::vector<at::Tensor> thumbnails;      ///< frames of each block, [T, h, w, 3] uint8
  FrameStatistics start_end;               ///< see start_end_difference
  double motion_amplitude = kNotMeasured;  ///< HeliosBench's, if it was measured: see media/motion_amplitude.h

  /// Share of the passes over blocks that have earlier blocks in which the external attention was computed.
  double computed_share() const;
};

struct Fidelity {
  std::vector<MeasuredRun> runs;  ///< in the order of fidelity_runs
  double latent_range = 0;        ///< of the exact video

  const MeasuredRun& of(FidelityRun::Kind kind) const;  ///< the first of that kind
};

/// The three criteria for a run: it saves work, it does not drift, it differs by no more than rounding.
struct FidelityVerdict {
  static constexpr double kMaxShare = 0.40;            ///< of passes that compute the external attention
  static constexpr double kMaxDriftDifference = 0.02;  ///< between the drifts of this video and of the exact one
  static constexpr double kMaxLossDb = 3;              ///< below the noise floor, over the first 5 s

  double drift_difference = kNotMeasured;  ///< the largest of the four
  std::string drifting;                    ///< the name of that statistic
  double early_loss_db = kNotMeasured;     ///< noise floor's PSNR minus this run's; 0 if both are equal to exact
  bool saves = false, keeps_drift = false, is_rounding = false;
};

/// Requires: runs in the order of fidelity_runs.
FidelityVerdict judge(const MeasuredRun& run, const Fidelity& fidelity);

/// The statistics by name, for reports.
std::array<std::pair<const char*, double>, 4> named(const FrameStatistics& statistics);

/// The summary of a video of `fps` frames per second. Seconds as above.
VideoSummary summarize(const std::vector<BlockMeasures>& blocks, double latent_range, int64_t fps);

/// |mean over the first 15 % of the frames - mean over the last 15 %|, at least one frame each. HeliosBench defines the
/// drift of its learned metrics so. Source: Helios, arXiv 2603.04379; PKU-YuanGroup/Helios, eval/README.md.
FrameStatistics start_end_difference(const std::vector<FrameStatistics>& frames);

/// Whether the motion amplitude is measured, which takes about 0.1 s of one core a frame.
enum class MotionMeasured { kNo, kYes };

/// Renders every run, one after another, on the model that `setup` was made for. Holds the frames of the exact video,
/// and small ones of every run, in memory. None if `stop` was requested. Throws: Error.
std::optional<Fidelity> measure_fidelity(const RenderSetup& setup, LoadedModel& model,
                                         const std::vector<FidelityRun>& runs, MotionMeasured motion,
                                         RenderObserver& observer, const std::stop_token& stop = {});

}  // namespace flashblock
