// Videos that start from given latents: from one frame, and from the end of another video.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/recorded_video.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using testing::KeepingSink;
using testing::RecordedVideo;

constexpr uint64_t kSeed = 5;
constexpr int64_t kBlocks = 2;

/// The noise of a video that begins `blocks` frame blocks later.
class LaterNoise : public NoiseSource {
 public:
  explicit LaterNoise(int64_t blocks) : blocks_(blocks) {}
  at::Tensor noise(int64_t frame_block, int64_t draw, at::IntArrayRef shape) const override {
    return SeededNoise(kSeed).noise(frame_block + blocks_, draw, shape);
  }

 private:
  int64_t blocks_;
};

/// A video of small frames with two denoising steps, whose times and noise levels at shift 5 are known by heart.
class TwoStepVideo : public RecordedVideo {
 public:
  TwoStepVideo() : RecordedVideo("pipeline_full") {
    options.recipe.timestep_shift = 5;
    options.recipe.steps = {1000, 750};
    options.recipe.warp_steps = true;
    inputs.noise = std::make_shared<SeededNoise>(kSeed);
    inputs.initial_latents.reset();
  }
};

at::Tensor start_latents(const RecordedVideo& video, int64_t frames) {
  const VideoGeometry& geometry = video.options.geometry;
  return testing::formula_data("start", {1, frames, 16, geometry.latent_height(), geometry.latent_width()}, 1.5);
}

/// The published loop, written out: the given frames go through the model at time 0 and become the video's first ones;
/// then blocks of `frames_per_block` are denoised. Source: wan-reference 5.1 and 5.3; Self-Forcing
/// `pipeline/causal_inference.py`, `inference` with `initial_latent`.
at::Tensor published_loop(const RecordedVideo& video, const at::Tensor& start, int64_t lead, int64_t frames_per_block) {
  constexpr double kTime[2] = {1000, 937.5}, kSigma[2] = {1, 0.9375};
  const VideoTransformer& model = video.transformer();
  TransformerState state(model.config(),
                         {.geometry = video.options.geometry,
                          .frames_per_block = frames_per_block,
                          .max_frames = start.size(1) + kBlocks * frames_per_block,
                          .attention = video.options.attention},
                         at::kCPU, at::kFloat);
  model.set_prompt(state, video.inputs.prompts.front().embedding);
  std::vector<at::Tensor> result = {start};
  int64_t frame = 0;
  const auto keep = [&](const at::Tensor& latents) {
    model.forward(latents, 0, frame, Pass::clean(), state);
    frame += latents.size(1);
  };
  if (lead > 0) keep(start.narrow(1, 0, lead));
  while (frame < start.size(1)) keep(start.narrow(1, frame, frames_per_block));
  for (int64_t block = 0; block < kBlocks; ++block) {
    std::vector<int64_t> shape = start.sizes().vec();
    shape[1] = frames_per_block;
    at::Tensor x0, x = SeededNoise(kSeed).noise(block, 0, shape);
    for (int64_t step = 0; step < 2; ++step) {
      if (step > 0) x = x0 * (1 - kSigma[step]) + SeededNoise(kSeed).noise(block, step, shape) * kSigma[step];
      x0 = x - model.forward(x, kTime[step], frame, Pass::denoise(step), state) * kSigma[step];
    }
    result.push_back(x0);
    keep(x0);
  }
  return at::cat(result, 1);
}

struct Start {
  const char* name;
  int64_t frames, lead, frames_per_block;
};

class VideoStart : public ::testing::TestWithParam<Start> {};

TEST_P(VideoStart, FollowsThePublishedLoopAndBeginsWithTheGivenLatents) {
  const Start& start = GetParam();
  TwoStepVideo video;
  video.inputs.initial_latents = start_latents(video, start.frames);
  video.options.recipe.frames_per_block = start.frames_per_block;
  video.options.recipe.independent_first_frame = start.lead > 0;
  video.plan = VideoPlan::for_noise(video.options.geometry, start.frames, start.frames_per_block,
                                    kBlocks * start.frames_per_block, start.lead);
  KeepingSink sink;
  video.render(sink);
  EXPECT_TENSORS_IDENTICAL(sink.latents().narrow(1, 0, start.frames), video.inputs.initial_latents);
  EXPECT_TENSORS_CLOSE(sink.latents(),
                       published_loop(video, video.inputs.initial_latents, start.lead, start.frames_per_block), 1e-5,
                       1e-5);
  EXPECT_EQ(sink.pixels().size(0), 1 + 4 * (start.frames - 1 + kBlocks * start.frames_per_block));
}

INSTANTIATE_TEST_SUITE_P(All, VideoStart,
                         ::testing::Values(Start{"FrameFrameByFrame", 1, 0, 1}, Start{"FrameThenBlocks", 1, 1, 3},
                                           Start{"VideoFrameByFrame", 4, 0, 1}, Start{"VideoInBlocks", 6, 0, 3},
                                           Start{"VideoWithALoneFirstFrame", 4, 1, 3}),
                         [](const auto& info) { return std::string(info.param.name); });

// A video that continues from the latents of its own first half is the whole video: nothing is lost at the seam,
// neither in the latents nor in the frames.
TEST(VideoStart, GoingOnFromOnesOwnLatentsIsTheSameVideo) {
  TwoStepVideo video;
  video.plan = VideoPlan::for_noise(video.options.geometry, 0, 3, 12);
  KeepingSink whole, rest;
  video.render(whole);
  video.inputs.initial_latents = whole.latents().narrow(1, 0, 6);
  video.inputs.noise = std::make_shared<LaterNoise>(2);
  video.plan = VideoPlan::for_noise(video.options.geometry, 6, 3, 6);
  video.render(rest);
  EXPECT_TENSORS_IDENTICAL(rest.latents(), whole.latents());
  EXPECT_TENSORS_IDENTICAL(rest.pixels(), whole.pixels());
}

TEST(VideoStart, AVideoMayBeginWithALoneFrameOfItsOwn) {
  TwoStepVideo video;
  video.options.recipe.independent_first_frame = true;
  video.plan = VideoPlan::for_noise(video.options.geometry, 0, 3, 7, /*lead_frames=*/1);
  KeepingSink sink, again;
  video.render(sink);
  ASSERT_EQ(sink.blocks.size(), 3u);
  EXPECT_EQ(sink.blocks[0].latents.size(1), 1);
  EXPECT_EQ(sink.blocks[1].latents.size(1), 3);
  EXPECT_EQ(sink.pixels().size(0), 25);
  // What follows a first frame is the same whether that frame was rendered or given.
  video.inputs.initial_latents = sink.blocks[0].latents;
  video.inputs.noise = std::make_shared<LaterNoise>(1);
  video.plan = VideoPlan::for_noise(video.options.geometry, 1, 3, 6, /*lead_frames=*/1);
  video.render(again);
  EXPECT_TENSORS_IDENTICAL(again.latents(), sink.latents());
}

}  // namespace
}  // namespace flashblock
