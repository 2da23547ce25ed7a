// A video resumed after some of its blocks equals the uninterrupted render, bit for bit.
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <functional>

#include "pipeline/render_session.h"
#include "tests/support/recorded_video.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using testing::change_prompts;
using testing::guide;
using testing::KeepingSink;
using testing::RecordedVideo;

struct Variant {
  const char* name;
  const char* video;
  std::function<void(RecordedVideo&)> change;
};

void refresh_by(RecordedVideo& video, RefreshPolicyRef policy) {
  video.options.attention = {.mode = AttentionConfig::Mode::kFlashblock, .refresh = policy};
}

void keep_in_8_bits(RecordedVideo& video) {
  refresh_by(video, "first_pass");
  video.options.attention.kv_cache = AttentionPrecision::kInt8;
}

class Resumed : public ::testing::TestWithParam<Variant> {};

TEST_P(Resumed, VideoIsTheSameBitForBit) {
  RecordedVideo video(GetParam().video);
  video.inputs.noise = std::make_shared<SeededNoise>(3);
  video.plan.blocks = 4;
  video.options.attention.mode = AttentionConfig::Mode::kFlashblock;
  video.options.keep_pixels = false;
  if (GetParam().change) GetParam().change(video);
  KeepingSink whole;
  video.render(whole);
  // After the first block and after the third: with change_prompts, at a change and after one.
  for (size_t done = 1; done < whole.blocks.size(); done += 2) {
    FinishedPart finished;
    for (size_t i = 0; i < done; ++i) finished.latents.push_back(whole.blocks[i].latents.clone());
    int restored = 0;
    finished.on_restored = [&] { ++restored; };
    KeepingSink rest;
    const RenderCounts counts = video.render(rest, video.inputs, {}, finished);
    ASSERT_EQ(rest.blocks.size(), whole.blocks.size() - done);
    EXPECT_EQ(restored, 1);
    EXPECT_EQ(counts.blocks_written,
              video.plan.blocks - std::max<int64_t>(0, int64_t(done) - video.plan.start_blocks()));
    for (size_t i = 0; i < rest.blocks.size(); ++i) {
      EXPECT_EQ(rest.blocks[i].index, whole.blocks[done + i].index);
      EXPECT_TENSORS_IDENTICAL(rest.blocks[i].latents, whole.blocks[done + i].latents)
          << "block " << i << " after " << done;
      EXPECT_TENSORS_IDENTICAL(rest.blocks[i].rgb, whole.blocks[done + i].rgb) << "block " << i << " after " << done;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Videos, Resumed,
    ::testing::Values(
        Variant{"whole_past", "pipeline_full", {}}, Variant{"window", "pipeline_window9_sink3", {}},
        Variant{"start", "pipeline_extend3_shift8", {}},
        Variant{"exact", "pipeline_window9_sink3",
                [](RecordedVideo& video) { video.options.attention.mode = AttentionConfig::Mode::kExact; }},
        Variant{"every_pass", "pipeline_window9_sink3", [](RecordedVideo& video) { refresh_by(video, "every_pass"); }},
        Variant{"first_pass", "pipeline_window9_sink3", [](RecordedVideo& video) { refresh_by(video, "first_pass"); }},
        Variant{"kv_cache_in_8_bits", "pipeline_window9_sink3", keep_in_8_bits},
        Variant{"kv_cache_in_8_bits_and_prompts", "pipeline_full",
                [](RecordedVideo& video) {
                  keep_in_8_bits(video);
                  change_prompts(video);
                }},
        Variant{"first_pass_and_prompts", "pipeline_window9_sink3",
                [](RecordedVideo& video) {
                  refresh_by(video, "first_pass");
                  change_prompts(video);
                }},
        Variant{"prompts", "pipeline_window9_sink3", change_prompts},
        Variant{"prompts_without_recache", "pipeline_window9_sink3",
                [](RecordedVideo& video) {
                  video.options.recipe.kv_recache = false;
                  refresh_by(video, "first_pass");
                  change_prompts(video);
                }},
        Variant{"start_and_prompts", "pipeline_extend3_shift8", change_prompts},
        Variant{"guidance", "pipeline_full", guide},
        Variant{"guidance_and_prompts", "pipeline_window9_sink3",
                [](RecordedVideo& video) {
                  guide(video);
                  change_prompts(video);
                  refresh_by(video, "first_pass");
                }},
        Variant{"unipc", "pipeline_window9_sink3",
                [](RecordedVideo& video) {
                  video.options.recipe.unipc_steps = 3;
                  refresh_by(video, "first_pass");
                }},
        Variant{"context_noise", "pipeline_window9_sink3",
                [](RecordedVideo& video) { video.options.recipe.context_noise = 100; }},
        Variant{"first_steps", "pipeline_full",
                [](RecordedVideo& video) {
                  video.options.recipe.first_steps = {1000, 500};
                  refresh_by(video, "first_pass");
                }},
        Variant{"ema_sink", "rewardforcing_ema900", [](RecordedVideo& video) { video.plan.blocks = 6; }},
        Variant{"ema_sink_and_kv_cache_in_8_bits", "rewardforcing_ema900",
                [](RecordedVideo& video) {
                  video.plan.blocks = 6;
                  keep_in_8_bits(video);
                }},
        Variant{"ema_sink_and_prompts", "rewardforcing_ema900",
                [](RecordedVideo& video) {
                  video.plan.blocks = 6;
                  refresh_by(video, "first_pass");
                  change_prompts(video);
                  video.inputs.prompts.push_back({.first_block = 4, .embedding = video.other_prompt()});
                }},
        Variant{"memory_bank_and_prompts", "memflow_interactive",
                [](RecordedVideo& video) {
                  video.plan.blocks = 6;
                  video.options.recipe.bank_frames = 2;
                  video.options.recipe.bank_interval = 1;
                  refresh_by(video, "first_pass");
                  change_prompts(video);
                  video.inputs.prompts.push_back({.first_block = 4, .embedding = video.other_prompt()});
                }},
        Variant{"recomputed", "krea_recompute_block3",
                [](RecordedVideo& video) {
                  video.plan.blocks = 5;
                  refresh_by(video, "first_pass");
                }},
        Variant{"recomputed_in_turn_with_prompts", "krea_recompute_switch",
                [](RecordedVideo& video) { video.options.overlap = Overlap::kOff; }},
        Variant{"recomputed_with_guidance", "krea_recompute_switch", guide},
        Variant{"shots", "longlive2_shots",
                [](RecordedVideo& video) {
                  video.plan.blocks = 6;
                  video.inputs.shots = {1, 4};
                  refresh_by(video, "first_pass");
                }},
        Variant{"shots_and_kv_cache_in_8_bits", "longlive2_shots",
                [](RecordedVideo& video) {
                  video.plan.blocks = 6;
                  video.inputs.shots = {1, 4};
                  keep_in_8_bits(video);
                }},
        Variant{"image_in_first_block", "longlive2_i2v", [](RecordedVideo& video) { refresh_by(video, "first_pass"); }},
        Variant{"clean_pass_weights", "sgf_plus_chunkwise_i2v", change_prompts},
        Variant{"in_turn", "pipeline_full", [](RecordedVideo& video) { video.options.overlap = Overlap::kOff; }}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Resume, CompleteVideoNeedsNothing) {
  RecordedVideo video("pipeline_full");
  video.plan.blocks = 2;
  KeepingSink whole, rest;
  video.render(whole);
  FinishedPart finished;
  for (const RenderedBlock& block : whole.blocks) finished.latents.push_back(block.latents);
  EXPECT_EQ(video.render(rest, video.inputs, {}, finished).blocks_written, 0);
  EXPECT_TRUE(rest.blocks.empty());
}

TEST(Resume, StopsWhileStateIsRestored) {
  RecordedVideo video("pipeline_full");
  video.plan.blocks = 3;
  KeepingSink whole, rest;
  video.render(whole);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(video.render(rest, video.inputs, stop.get_token(), {.latents = {whole.blocks[0].latents}}).blocks_written,
            0);
}

TEST(PassesBeforeClean, AreThoseThatTheCleanPassDependsOn) {
  const auto passes = [](AttentionConfig::Mode mode, RefreshPolicyRef policy) {
    return passes_before_clean({.mode = mode, .refresh = policy}, 4);
  };
  EXPECT_EQ(passes(AttentionConfig::Mode::kExact, "first_pass"), 0);
  EXPECT_EQ(passes(AttentionConfig::Mode::kFlashblock, "every_pass"), 0);
  EXPECT_EQ(passes(AttentionConfig::Mode::kFlashblock, "first_and_clean_pass"), 0);
  EXPECT_EQ(passes(AttentionConfig::Mode::kFlashblock, "first_pass"), 1);
}

}  // namespace
}  // namespace flashblock
