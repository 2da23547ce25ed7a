// Videos beyond the last row of the published rotary table.
#include <ATen/TensorOperators.h>
#include <ATen/ops/isfinite.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "pipeline/block_denoiser.h"
#include "tests/support/recorded_video.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

constexpr int64_t kBlocks = 360;      // 1080 latent frames, 4.5 minutes at 16 fps
constexpr int64_t kFirstMoved = 341;  // latent frames 1023 to 1025: the first block that ends beyond row 1024

/// The latents of a video of one token per frame, sink 3, window 9; `position_frames` as in the recipe.
std::vector<at::Tensor> render(int64_t blocks, int64_t position_frames) {
  const testing::RecordedVideo video("pipeline_window9_sink3");
  Recipe recipe = video.options.recipe;
  recipe.steps = {1000, 500};
  recipe.position_frames = position_frames;
  const TransformerStateOptions options{.geometry = {.width = 16, .height = 16},
                                        .frames_per_block = 3,
                                        .window_frames = 9,
                                        .sink_frames = 3,
                                        .max_frames = 3 * blocks,
                                        .position_frames = position_frames,
                                        .attention = {}};
  const std::shared_ptr<const VideoTransformer> transformer(std::shared_ptr<void>(), &video.transformer());
  BlockDenoiser denoiser(transformer, recipe, options, at::kCPU, at::kFloat);
  denoiser.set_prompt(video.inputs.prompts.front().embedding);
  std::vector<at::Tensor> latents;
  for (int64_t block = 0; block < blocks; ++block) {
    const FrameBlock three{.index = block, .start_frame = 3 * block, .frames = 3};
    latents.push_back(denoiser.denoise(three, SeededNoise(3)));
    denoiser.clean_pass(three, latents.back(), 0);
    if (block == kFirstMoved + 5)
      denoiser.set_prompt(video.other_prompt());  // recomputes the context, beyond the table
  }
  return latents;
}

TEST(LongVideo, ContinuesBeyondTheTableWithoutASeam) {
  const std::vector<at::Tensor> video = render(kBlocks, kRopePositions), unlimited = render(kBlocks, 1 << 20);
  for (int64_t block = 0; block < kFirstMoved; ++block) EXPECT_TENSORS_IDENTICAL(video[block], unlimited[block]);
  EXPECT_FALSE(testing::tensors_close(video[kFirstMoved + 1], unlimited[kFirstMoved + 1], 0, 0))
      << "the sink has not moved";
  // Blocks do not change more where the table ends than elsewhere, and mean and spread stay in their range.
  std::vector<double> change, mean, spread;
  for (int64_t block = 0; block < kBlocks; ++block) {
    EXPECT_TRUE(at::isfinite(video[block]).all().item<bool>()) << block;
    change.push_back(block == 0 ? 0 : (video[block] - video[block - 1]).norm().item<double>());
    mean.push_back(video[block].mean().item<double>());
    spread.push_back(video[block].std().item<double>());
  }
  for (const auto& [name, series] : {std::pair{"change", change}, {"mean", mean}, {"spread", spread}}) {
    const auto [least, most] = std::minmax_element(series.begin() + 100, series.begin() + kFirstMoved);
    const double margin = 0.25 * (*most - *least);
    for (int64_t block = kFirstMoved; block < kBlocks; ++block) {
      EXPECT_GT(series[block], *least - margin) << name << " at block " << block;
      EXPECT_LT(series[block], *most + margin) << name << " at block " << block;
    }
  }
}

}  // namespace
}  // namespace flashblock
