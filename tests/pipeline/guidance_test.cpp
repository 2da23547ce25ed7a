// Guidance, its prompt changes and the small decoder in the whole loop, compared with plain computations.
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "tests/support/recorded_video.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using testing::KeepingSink;
using testing::RecordedVideo;

/// The noise of a video from its block `first` on.
class LaterNoise : public NoiseSource {
 public:
  LaterNoise(uint64_t seed, int64_t first) : noise_(seed), first_(first) {}
  at::Tensor noise(int64_t block, int64_t draw, at::IntArrayRef shape) const override {
    return noise_.noise(block + first_, draw, shape);
  }

 private:
  SeededNoise noise_;
  int64_t first_;
};

at::Tensor latents_of(RecordedVideo& video, const SessionInputs& inputs) {
  KeepingSink sink;
  video.render(sink, inputs);
  return sink.latents();
}

// One step from noise alone: x0 is linear in the flow, so guidance can be applied to two finished videos.
TEST(Guidance, IsTheFlowBeyondThePromptsDifference) {
  RecordedVideo video("pipeline_full");
  video.plan.blocks = 1;
  video.options.recipe.steps = {1000};
  SessionInputs positive = video.inputs, negative = video.inputs, guided = video.inputs;
  negative.prompts.front().embedding = guided.negative_embedding = video.other_prompt();
  const at::Tensor with_prompt = latents_of(video, positive), without = latents_of(video, negative);
  for (const double scale : {0.0, 0.5, 3.0, 7.5}) {
    video.options.recipe.guidance_scale = scale;
    EXPECT_TENSORS_CLOSE(latents_of(video, guided), without + (with_prompt - without) * scale, 1e-4, 1e-4) << scale;
  }
}

class GuidedChange : public ::testing::TestWithParam<int64_t> {};
INSTANTIATE_TEST_SUITE_P(Solvers, GuidedChange, ::testing::Values(0, 5),
                         [](const auto& info) { return info.param == 0 ? "FewSteps" : "UniPc"; });

// Guidance has no effect once the prompt changes to the negative prompt: from there on the video is the plain video of
// that prompt after the same past. The prompt's context is recomputed, the negative prompt's is kept: both must equal
// those of a video that starts with these latents.
TEST_P(GuidedChange, ContinuesAsThePlainVideoOfTheNewPrompt) {
  constexpr uint64_t kSeed = 5;
  RecordedVideo video("pipeline_full");
  video.options.recipe.unipc_steps = GetParam();
  video.plan.blocks = 3;
  SessionInputs inputs = video.inputs;
  inputs.noise = std::make_shared<SeededNoise>(kSeed);
  inputs.negative_embedding = video.other_prompt();
  video.options.recipe.guidance_scale = 4;
  const at::Tensor unchanged = latents_of(video, inputs);
  inputs.prompts.push_back({.first_block = 2, .embedding = video.other_prompt()});
  const at::Tensor changed = latents_of(video, inputs);
  EXPECT_TENSORS_IDENTICAL(changed.narrow(1, 0, 6), unchanged.narrow(1, 0, 6));
  EXPECT_FALSE(testing::tensors_close(changed.narrow(1, 6, 3), unchanged.narrow(1, 6, 3), 1e-2, 1e-2));

  video.options.recipe.guidance_scale = 1;
  video.plan = VideoPlan::for_noise(video.options.geometry, 6, 3, 3);
  SessionInputs continued;
  continued.prompts = {{.embedding = video.other_prompt()}};
  continued.initial_latents = changed.narrow(1, 0, 6).contiguous();
  continued.noise = std::make_shared<LaterNoise>(kSeed, 2);
  EXPECT_TENSORS_CLOSE(latents_of(video, continued), changed, 1e-3, 1e-3);
}

TEST(SmallDecoder, StreamsInTheLoopWhatItDecodesInOneCall) {
  RecordedVideo video("pipeline_full");
  const auto weights = testing::formula_store(testing::taehv_shapes());
  video.use_decoder(*weights);
  KeepingSink sink;
  video.render(sink);
  const at::Tensor whole = load_latent_decoder(*weights, at::kCPU, at::kFloat)->decode(sink.latents());
  EXPECT_TENSORS_CLOSE(sink.pixels(), whole, 1e-5, 1e-5);
  EXPECT_EQ(sink.pixels().size(0), video.plan.frames);
}

}  // namespace
}  // namespace flashblock
