#include "analysis/video_cases.h"

#include <ATen/ops/ones_like.h>
#include <ATen/ops/randint.h>

#include <algorithm>
#include <exception>
#include <functional>
#include <optional>
#include <utility>

#include "analysis/work_split.h"
#include "core/memory_meter.h"
#include "media/frame_conversion.h"
#include "media/video_writer.h"
#include "pipeline/block_denoiser.h"
#include "pipeline/context_rule.h"
#include "pipeline/noise_source.h"
#include "pipeline/render_line.h"
#include "pipeline/render_session.h"
#include "render/segment_queue.h"
#include "render/session_setup.h"

namespace flashblock {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

/// The beginning of the video, up to a few blocks with a full window: every shape occurs in it. Without a window no
/// shape occurs twice.
VideoPlan beginning(const BenchContext& bench) {
  VideoPlan plan = bench.setup.plan;
  plan.blocks = std::min(plan.blocks, (bench.recipe().window_frames < 0 ? 0 : bench.first_full_block()) + 3);
  plan.frames = std::min(plan.frames, bench.setup.geometry.frames_of(plan.latent_frames()));
  return plan;
}

/// Writes the segments of a video to the scratch folder and records when its blocks arrive.
class TimedVideo : public FrameSink {
 public:
  TimedVideo(const BenchContext& bench, const VideoPlan& plan, const DrawnFrames* drawn)
      : bench_(bench),
        drawn_(drawn),
        writer_(bench.options.scratch / "benchmark.mp4", video_format(bench.setup.config), ExistingVideo::kReplace,
                plan.frames),
        queue_(writer_, bench.setup.config.overlap ? Overlap::kOn : Overlap::kOff) {}
  ~TimedVideo() override {
    try {
      queue_.finish();
    } catch (const std::exception&) {  // already reported
    }
    writer_.remove_parts();
  }

  void write(const RenderedBlock& block) override {
    arrivals_.push_back(Clock::now());
    if (block.index == bench_.first_full_block() + 1) memory_ = held_memory_bytes(bench_.device());
    latest_memory_ = held_memory_bytes(bench_.device());
    queue_.add(drawn_ ? drawn_->block(block.index, block.rgb.size(0)) : block.rgb, {});
  }
  void finish() override { queue_.finish(); }

  /// The times of a video that started at `begin`.
  VideoRun run(Clock::time_point begin) const {
    VideoRun run{.first_frame_seconds = seconds_between(begin, arrivals_.front()),
                 .decoded_seconds = seconds_between(begin, arrivals_.back()),
                 .memory_growth_bytes = memory_ > 0 ? latest_memory_ - memory_ : 0};
    for (auto block = static_cast<size_t>(bench_.first_full_block()) + 1; block < arrivals_.size(); ++block)
      run.block_seconds.push_back(seconds_between(arrivals_[block - 1], arrivals_[block]));
    return run;
  }

 private:
  const BenchContext& bench_;
  const DrawnFrames* drawn_;
  VideoWriter writer_;
  SegmentQueue queue_;
  std::vector<Clock::time_point> arrivals_;  // of decoded blocks
  int64_t memory_ = 0, latest_memory_ = 0;
};

/// Videos that are decoded and written, one after another.
class WrittenVideos {
 public:
  WrittenVideos(const BenchContext& bench, std::shared_ptr<LatentDecoder> decoder, const DrawnFrames* drawn)
      : bench_(bench),
        drawn_(drawn),
        session_(bench.model.transformer(), std::move(decoder), options(bench), profile_),
        inputs_{.prompts = {{.embedding = bench.text()}}, .noise = std::make_shared<SeededNoise>(1)} {}

  std::optional<VideoRun> video(const VideoPlan& plan, const AttentionConfig& attention) {
    session_.set_attention(attention);
    profile_.clear();
    TimedVideo sink(bench_, plan, drawn_);
    synchronize(bench_.device());
    reset_peak_device_memory(bench_.device());
    const auto begin = Clock::now();
    const RenderCounts counts = session_.render(plan, inputs_, sink, bench_.stop).counts;
    const auto end = Clock::now();
    if (counts.blocks_written < plan.blocks) return {};
    VideoRun run = sink.run(begin);
    run.seconds = seconds_between(begin, end);
    run.peak_memory_bytes = peak_device_memory_bytes(bench_.device());
    const TransformerCounters& work = counts.transformer;
    const int64_t all = work.external_computed + work.external_reused;
    run.external_share = all == 0 ? 0 : static_cast<double>(work.external_computed) / static_cast<double>(all);
    for (const StageTime& stage : profile_.stages()) run.stages[stage.name] = stage.seconds;
    return run;
  }

 private:
  static SessionOptions options(const BenchContext& bench) {
    SessionOptions options = session_options(bench.setup, bench.model);
    options.recipe.guidance_scale = 1;
    options.keep_pixels = false;
    return options;
  }

  const BenchContext& bench_;
  const DrawnFrames* drawn_;
  Profile profile_;
  RenderSession session_;
  SessionInputs inputs_;
};

/// A video that is only denoised: as in a session, without a decoder.
std::optional<VideoRun> denoised_video(const BenchContext& bench, const VideoPlan& plan,
                                       const AttentionConfig& attention) {
  const StageScope as_in_a_render(bench.device());
  const SeededNoise noise(1);
  const at::Tensor text = bench.text();
  Recipe recipe = bench.recipe();
  recipe.guidance_scale = 1;
  if (recipe.context_rule->encodes_frames()) recipe.context_rule = "window";  // without a decoder there are no frames
  synchronize(bench.device());
  const TimeMark begin(bench.device());
  BlockDenoiser denoiser(bench.model.transformer(), recipe,
                         state_options(recipe, bench.setup.geometry, plan.latent_frames(), attention), bench.device(),
                         bench.model.dtype());
  denoiser.set_prompt(text);
  std::vector<TimeMark> marks;
  for (int64_t index = 0; index < plan.blocks; ++index) {
    const FrameBlock block = plan.block(index);
    const at::Tensor latents = denoiser.denoise(block, noise, bench.stop);
    if (!latents.defined()) return {};
    if (index + 1 < plan.blocks) denoiser.clean_pass(block, latents, recipe.context_noise);
    marks.emplace_back(bench.device());
  }
  VideoRun run{.seconds = marks.back().seconds_since(begin)};
  for (auto block = static_cast<size_t>(bench.first_full_block()) + 1; block + 1 < marks.size(); ++block)
    run.block_seconds.push_back(marks[block].seconds_since(marks[block - 1]));
  return run;
}

using Video = std::function<std::optional<VideoRun>(const VideoPlan&, const AttentionConfig&)>;

bool measure_kind(const BenchContext& bench, const std::string& kind, const Video& video, WindowTimes& result) {
  VideoTimes times{.kind = kind, .runs = std::vector<std::vector<VideoRun>>(bench.modes.size())};
  bool stopped = false;
  const bool whole = bench.take_turns(bench.options.video_rounds, [&](size_t mode, bool counts) {
    if (stopped) return;
    const auto run = video(counts ? bench.setup.plan : beginning(bench), bench.modes[mode].attention);
    stopped = !run;
    if (run && counts) times.runs[mode].push_back(*run);
  });
  result.videos.push_back(std::move(times));
  return whole && !stopped;
}

/// Times work that does not depend on the mode.
template <typename Work>
bool measure_stage(const BenchContext& bench, const std::string& name, VideoBenchmark& result, const Work& work) {
  WorkTimes times{.work = name, .seconds = {{}}};
  for (int64_t round = -1; round < bench.options.rounds; ++round) {
    if (bench.stop.stop_requested()) return false;
    const double seconds = seconds_of(bench.device(), work);
    if (round >= 0) times.seconds.front().push_back(seconds);
  }
  result.stages.push_back(std::move(times));
  return true;
}

bool measure_text(const BenchContext& bench, VideoBenchmark& result) {
  constexpr int64_t kTokens = 128, kIds = 256;  // a long prompt; ids that every vocabulary has
  result.text_tokens = std::min(kTokens, bench.model.transformer_config().text_len);
  const at::Tensor ids = at::randint(kIds, {1, result.text_tokens}, at::kLong);
  return measure_stage(bench, "text encoding", result, [&] {
    EncodedPrompt prompt{.ids = ids, .mask = at::ones_like(ids)};
    bench.model.encode({&prompt});
  });
}

bool measure_decoder(const BenchContext& bench, const std::string& name, LatentDecoder& decoder, at::Tensor& rgb,
                     VideoBenchmark& result) {
  const at::Tensor latents = bench.latents();
  decoder.reset();
  decoder.decode(latents);  // the video's first block is shorter
  if (!measure_stage(bench, name, result, [&] { rgb = to_rgb24(decoder.decode(latents)).cpu(); })) return false;
  const ConvolutionOperations operations = decoder.operations_per_latent();
  const auto positions = static_cast<double>(latents.numel() / decoder.latent_channels());
  result.stages.back().least_seconds = {
      bench.ceilings.least_seconds(positions * operations.native, positions * operations.eight_bits)};
  return true;
}

}  // namespace

bool measure_stages(const BenchContext& bench, const BenchFrames& frames, VideoBenchmark& result) {
  const StageScope as_in_a_render(bench.device());
  if (bench.options.text && !measure_text(bench, result)) return false;
  at::Tensor rgb;
  if (frames.small && !measure_decoder(bench, "VAE decode, small", *frames.small, rgb, result)) return false;
  if (!measure_decoder(bench, "VAE decode, full", *frames.full, rgb, result)) return false;
  if (frames.drawn) rgb = frames.drawn->block(0, rgb.size(0));
  VideoPlan plan = bench.setup.plan;
  plan.frames = 0;  // no limit
  TimedVideo video(bench, plan, nullptr);
  constexpr int kBlocks = 8;  // segments are encoded side by side: the time of a block is that of several, divided
  const bool whole = measure_stage(bench, "encode and write", result, [&] {
    for (int block = 0; block < kBlocks; ++block) video.write({.rgb = rgb});
    video.finish();
  });
  if (!whole) return false;
  for (double& seconds : result.stages.back().seconds.front()) seconds /= kBlocks;
  return true;
}

bool measure_videos(const BenchContext& bench, const BenchFrames& frames, WindowTimes& result) {
  if (!measure_kind(bench, "transformer", std::bind_front(denoised_video, std::cref(bench)), result)) return false;
  for (const auto& [kind, decoder] : {std::pair{"full VAE", frames.full}, {"small VAE", frames.small}}) {
    if (!decoder) continue;
    WrittenVideos videos(bench, decoder, frames.drawn.get());
    if (!measure_kind(bench, kind, std::bind_front(&WrittenVideos::video, &videos), result)) return false;
  }
  return true;
}

}  // namespace flashblock
