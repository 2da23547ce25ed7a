// Guidance, its prompt changes and the small decoder inside the whole loop, against the same computed in plain steps.
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "tests/pipeline/recorded_film.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using testing::KeepingSink;
using testing::RecordedFilm;

/// The noise of a film from its block `first` on.
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

at::Tensor latents_of(RecordedFilm& film, const FilmInputs& inputs) {
  KeepingSink sink;
  film.render(sink, inputs);
  return sink.latents();
}

// One step from noise alone: x0 is linear in the flow, so guidance can be applied to two finished films.
TEST(Guidance, IsTheFlowBeyondThePromptsDifference) {
  RecordedFilm film("pipeline_full");
  film.plan.blocks = 1;
  film.options.recipe.steps = {1000};
  FilmInputs positive = film.inputs, negative = film.inputs, guided = film.inputs;
  negative.prompts.front().embedding = guided.negative_embedding = film.other_prompt();
  const at::Tensor with_prompt = latents_of(film, positive), without = latents_of(film, negative);
  for (const double scale : {0.0, 0.5, 3.0, 7.5}) {
    film.options.recipe.guidance_scale = scale;
    EXPECT_TENSORS_CLOSE(latents_of(film, guided), without + (with_prompt - without) * scale, 1e-4, 1e-4) << scale;
  }
}

class GuidedChange : public ::testing::TestWithParam<int64_t> {};
INSTANTIATE_TEST_SUITE_P(Solvers, GuidedChange, ::testing::Values(0, 5),
                         [](const auto& info) { return info.param == 0 ? "FewSteps" : "UniPc"; });

// Guidance away from a prompt has no effect once the film's own prompt becomes the same: from there on it is the plain
// film of that prompt after the same past. The context under the new prompt is made anew, that of the negative prompt
// has been kept all along: both must be what a film that is continued from these latents has.
TEST_P(GuidedChange, GoesOnAsThePlainFilmOfTheNewPrompt) {
  constexpr uint64_t kSeed = 5;
  RecordedFilm film("pipeline_full");
  film.options.recipe.unipc_steps = GetParam();
  film.plan.blocks = 3;
  FilmInputs inputs = film.inputs;
  inputs.noise = std::make_shared<SeededNoise>(kSeed);
  inputs.negative_embedding = film.other_prompt();
  film.options.recipe.guidance_scale = 4;
  const at::Tensor unchanged = latents_of(film, inputs);
  inputs.prompts.push_back({.first_block = 2, .embedding = film.other_prompt()});
  const at::Tensor changed = latents_of(film, inputs);
  EXPECT_TENSORS_IDENTICAL(changed.narrow(1, 0, 6), unchanged.narrow(1, 0, 6));
  EXPECT_FALSE(testing::tensors_close(changed.narrow(1, 6, 3), unchanged.narrow(1, 6, 3), 1e-2, 1e-2));

  film.options.recipe.guidance_scale = 1;
  film.plan = FilmPlan::for_noise(film.options.geometry, 6, 3, 3);
  FilmInputs continued;
  continued.prompts = {{.embedding = film.other_prompt()}};
  continued.initial_latents = changed.narrow(1, 0, 6).contiguous();
  continued.noise = std::make_shared<LaterNoise>(kSeed, 2);
  EXPECT_TENSORS_CLOSE(latents_of(film, continued), changed, 1e-3, 1e-3);
}

TEST(SmallDecoder, StreamsInTheLoopWhatItDecodesInOneCall) {
  RecordedFilm film("pipeline_full");
  const auto weights = testing::formula_store(testing::taehv_shapes());
  film.use_decoder(*weights);
  KeepingSink sink;
  film.render(sink);
  const at::Tensor whole = load_latent_decoder(*weights, at::kCPU, at::kFloat)->decode(sink.latents());
  EXPECT_TENSORS_CLOSE(sink.pixels(), whole, 1e-5, 1e-5);
  EXPECT_EQ(sink.pixels().size(0), film.plan.pictures);
}

}  // namespace
}  // namespace flashblock
