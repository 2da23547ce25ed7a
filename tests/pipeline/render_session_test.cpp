// The whole loop compared with the published Python implementation, and its switches in both positions.
#include "pipeline/render_session.h"

#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <stdexcept>

#include "core/error.h"
#include "pipeline/context_rule.h"
#include "pipeline/session_inputs.h"
#include "tests/support/cuda.h"
#include "tests/support/recorded_video.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using testing::KeepingSink;
using testing::RecordedVideo;

class Parity : public ::testing::TestWithParam<const char*> {};

TEST_P(Parity, LatentsAndFramesAreThoseOfThePublishedLoop) {
  RecordedVideo video(GetParam());
  KeepingSink sink;
  video.render(sink);
  EXPECT_TENSORS_CLOSE(sink.latents(), video.expected("latents"), 1e-4, 1e-4);
  // Stored as float16: its beginning, of that every second row and column.
  const at::Tensor frames = video.expected("video")[0].to(at::kFloat);
  const at::Tensor begin = sink.pixels().narrow(0, 0, frames.size(0));
  EXPECT_TENSORS_CLOSE(begin.slice(2, 0, {}, 2).slice(3, 0, {}, 2), frames, 1e-3, 1e-3);
  EXPECT_EQ(sink.pixels().size(0), video.plan.frames);
}

// The first pass of each block is fresh in both modes: refreshed in every pass, the two must agree.
TEST_P(Parity, FlashblockThatRefreshesEveryPassIsExact) {
  RecordedVideo video(GetParam());
  video.options.attention = {.mode = AttentionConfig::Mode::kFlashblock, .refresh = "every_pass"};
  KeepingSink sink;
  video.render(sink);
  EXPECT_TENSORS_CLOSE(sink.latents(), video.expected("latents"), 1e-4, 1e-4);
}

const auto kVideos = ::testing::Values("pipeline_full", "pipeline_window9_sink3", "pipeline_extend3_shift8");
const auto kName = [](const auto& info) { return std::string(info.param); };

INSTANTIATE_TEST_SUITE_P(Videos, Parity, kVideos, kName);

class LatentParity : public ::testing::TestWithParam<const char*> {};

TEST_P(LatentParity, LatentsAreThoseOfThePublishedLoop) {
  for (const AttentionConfig& attention :
       {AttentionConfig{.mode = AttentionConfig::Mode::kExact},
        AttentionConfig{.mode = AttentionConfig::Mode::kFlashblock, .refresh = "every_pass"}}) {
    RecordedVideo video(GetParam());
    video.options.attention = attention;
    KeepingSink sink;
    video.render(sink);
    EXPECT_TENSORS_CLOSE(sink.latents(), video.expected("latents"), 1e-4, 1e-4);
  }
}

const auto kLatentVideos = ::testing::Values(
    "sgf_chunkwise", "sgf_framewise_i2v", "sgf_opsdv_relative_sink", "sgf_plus_chunkwise_i2v", "longlive2_rollout",
    "longlive2_shots", "longlive2_i2v", "rewardforcing_ema999", "rewardforcing_ema900", "memflow_interactive",
    "memflow_bank3", "krea_recompute_block3", "krea_recompute_switch");

INSTANTIATE_TEST_SUITE_P(Videos, LatentParity, kLatentVideos, kName);

class ParityCuda : public LatentParity {};

TEST_P(ParityCuda, LatentsAreThoseOfThePublishedLoop) {
  FLASHBLOCK_NEED_CUDA();
  RecordedVideo video(GetParam(), testing::kGpu);
  KeepingSink sink;
  video.render(sink);
  EXPECT_TENSORS_CLOSE(sink.latents().cpu(), video.expected("latents"), 1e-4, 1e-4);
}

INSTANTIATE_TEST_SUITE_P(Videos, ParityCuda, kVideos, kName);
INSTANTIATE_TEST_SUITE_P(LatentVideos, ParityCuda, kLatentVideos, kName);

// Wan2.2's geometry, its decoder and UniPC in every block, resumed bit for bit.
TEST(LongLive2, ResumesBitForBit) {
  RecordedVideo video("longlive2_rollout");
  video.plan.blocks = 3;
  KeepingSink whole, rest;
  video.render(whole);
  video.render(rest, video.inputs, {}, {.latents = {whole.blocks[0].latents.clone()}});
  ASSERT_EQ(rest.blocks.size(), 2U);
  EXPECT_TENSORS_IDENTICAL(rest.blocks[1].latents, whole.blocks[2].latents);
  EXPECT_TENSORS_IDENTICAL(rest.blocks[1].rgb, whole.blocks[2].rgb);
}

// The recordings can tell a sink that moves from one that does not.
TEST(LatentParityOfASinkThatStays, Fails) {
  for (const char* name : {"sgf_chunkwise", "sgf_opsdv_relative_sink"}) {
    RecordedVideo video(name);
    video.options.recipe.position_frames = Recipe{}.position_frames;
    KeepingSink sink;
    video.render(sink);
    EXPECT_FALSE(testing::tensors_close(sink.latents(), video.expected("latents"), 1e-4, 1e-4));
  }
}

// So can they tell the context rules, the pinned block, the offset of a shot and an image's own time.
TEST(LatentParityOfAnotherRule, Fails) {
  const auto differs = [](const char* name, const std::function<void(RecordedVideo&)>& change) {
    RecordedVideo video(name);
    change(video);
    KeepingSink sink;
    video.render(sink);
    EXPECT_FALSE(testing::tensors_close(sink.latents(), video.expected("latents"), 1e-3, 1e-3)) << name;
  };
  for (const char* name : {"rewardforcing_ema900", "memflow_interactive", "krea_recompute_block3"})
    differs(name, [](RecordedVideo& video) { video.options.recipe.context_rule = "window"; });
  differs("rewardforcing_ema900", [](RecordedVideo& video) { video.options.recipe.sink_decay = 0.95; });
  differs("memflow_interactive", [](RecordedVideo& video) { video.options.recipe.bank_interval = 1; });
  differs("longlive2_shots", [](RecordedVideo& video) { video.inputs.shots = {3}; });
  differs("longlive2_shots", [](RecordedVideo& video) { video.options.recipe.shot_offset_frames = 4; });
}

TEST(ContextRules, NameThoseThatExist) {
  EXPECT_EQ(to_string(ContextRuleRef("ema_sink")), "ema_sink");
  EXPECT_EQ(to_string(Recipe{}.context_rule), "window");
  try {
    parse_context_rule("bank");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "the context rule 'bank' is unknown; possible are window, ema_sink, memory_bank, recomputed");
  }
}

// A decoder that fails reaches the caller, though the denoiser waits for its frames.
TEST(RecomputedContext, ErrorOfTheSinkOrTheDecoderReachesTheCaller) {
  class FullDisk : public FrameSink {
    void write(const RenderedBlock&) override { throw MediaError("the disk is full"); }
  } sink;
  RecordedVideo video("krea_recompute_block3");
  for (const Overlap overlap : {Overlap::kOn, Overlap::kOff}) {
    video.options.overlap = overlap;
    EXPECT_THROW(video.render(sink), MediaError);
  }
  class Broken : public LatentDecoder {
   public:
    at::Tensor decode_unclamped(const at::Tensor&) override { throw DeviceError("out of memory"); }
    void reset() override {}
    int64_t latent_channels() const override { return 16; }
    int64_t pixel_stride() const override { return 8; }
    int64_t state_bytes() const override { return 0; }
    std::vector<LayerMemory> layer_memories() const override { return {}; }
    void fill_history(const at::Tensor&, size_t, Place) override {}
    at::Tensor to_frames(const at::Tensor& latents) const override { return latents; }
  };
  video.use_decoder(std::make_shared<Broken>());
  KeepingSink nothing;
  for (const Overlap overlap : {Overlap::kOn, Overlap::kOff}) {
    video.options.overlap = overlap;
    EXPECT_THROW(video.render(nothing), DeviceError);
  }
}

TEST(RenderSession, FirstBlockIsExactWhateverIsReused) {
  RecordedVideo video("pipeline_full");
  video.options.attention = {.mode = AttentionConfig::Mode::kFlashblock, .refresh = "first_pass"};
  KeepingSink sink;
  const RenderCounts counts = video.render(sink);
  EXPECT_TENSORS_CLOSE(sink.blocks[0].latents, video.expected("latents").narrow(1, 0, 3), 1e-4, 1e-4);
  EXPECT_FALSE(testing::tensors_close(sink.latents(), video.expected("latents"), 1e-4, 1e-4))
      << "reuse had no effect: it was not enabled";
  EXPECT_GT(counts.transformer.external_reused, counts.transformer.external_computed);
}

TEST(RenderSession, OverlapChangesNothing) {
  RecordedVideo video("pipeline_window9_sink3");
  KeepingSink overlapped, in_turn;
  video.options.overlap = Overlap::kOn;
  video.render(overlapped);
  video.options.overlap = Overlap::kOff;
  video.render(in_turn);
  EXPECT_TENSORS_IDENTICAL(overlapped.latents(), in_turn.latents());
  EXPECT_TENSORS_IDENTICAL(overlapped.rgb(), in_turn.rgb());
}

TEST(RenderSession, SameInputsGiveTheSameVideoAndTheSessionKeepsNothingOfTheLast) {
  RecordedVideo video("pipeline_extend3_shift8");
  KeepingSink first, second;
  video.render(first);
  video.render(second);
  EXPECT_TENSORS_IDENTICAL(first.latents(), second.latents());
  EXPECT_TENSORS_IDENTICAL(first.pixels(), second.pixels());
}

TEST(RenderSession, MemoryDoesNotGrowWithTheVideo) {
  RecordedVideo video("pipeline_window9_sink3");
  video.options.keep_pixels = false;
  video.inputs.noise = std::make_shared<SeededNoise>(1);
  std::vector<int64_t> bytes;
  for (const int64_t blocks : {4, 12}) {
    video.plan.blocks = blocks;
    KeepingSink sink;
    const RenderCounts counts = video.render(sink);
    bytes.push_back(counts.state_bytes);
    EXPECT_EQ(counts.blocks_written, blocks);
    EXPECT_EQ(counts.transformer.passes, blocks * 5 - 1)
        << "four denoising passes and, except for the last block, a clean one";
    EXPECT_EQ(counts.evicted_frames, (blocks - 1) * 3 - 6) << "sink and window keep six past frames";
  }
  EXPECT_EQ(bytes[0], bytes[1]);
}

TEST(RenderSession, PromptChangesAtItsBlockAndNotBefore) {
  RecordedVideo video("pipeline_window9_sink3");
  KeepingSink unchanged, changed;
  video.render(unchanged);
  SessionInputs inputs = video.inputs;
  inputs.prompts.push_back({.first_block = 3, .embedding = video.other_prompt()});
  const RenderCounts counts = video.render(changed, inputs);
  for (size_t block = 0; block < 3; ++block) {
    EXPECT_TENSORS_IDENTICAL(changed.blocks[block].latents, unchanged.blocks[block].latents);
  }
  EXPECT_FALSE(testing::tensors_close(changed.blocks[3].latents, unchanged.blocks[3].latents, 1e-2, 1e-2));
  EXPECT_EQ(counts.blocks_written, 5);
}

/// Returns one prompt at one block.
class PromptFromElsewhere : public PromptSource {
 public:
  PromptFromElsewhere(int64_t block, at::Tensor embedding) : block_(block), embedding_(std::move(embedding)) {}

  std::optional<LivePrompt> at_block(int64_t block) override {
    asked.push_back(block);
    if (block != block_) return {};
    return LivePrompt{.text = "live", .encoded = {.first_block = block, .embedding = embedding_}};
  }

  std::vector<int64_t> asked;

 private:
  int64_t block_;
  at::Tensor embedding_;
};

TEST(RenderSession, LivePromptEqualsAPlannedPrompt) {
  for (const char* name : {"pipeline_window9_sink3", "pipeline_extend3_shift8", "rewardforcing_ema900",
                           "memflow_interactive", "krea_recompute_block3"}) {
    RecordedVideo video(name);
    video.inputs.noise = std::make_shared<SeededNoise>(1);
    video.plan.blocks = 4;
    for (const int64_t block : {0, 2, 3}) {
      KeepingSink planned, live;
      SessionInputs inputs = video.inputs;
      if (block == 0) inputs.prompts.clear();
      inputs.prompts.push_back({.first_block = block, .embedding = video.other_prompt()});
      video.render(planned, inputs);
      const auto source = std::make_shared<PromptFromElsewhere>(block, video.other_prompt());
      inputs.prompts = {video.inputs.prompts.front()};
      // A prompt planned for the same block does not take effect.
      inputs.prompts.push_back({.first_block = 3, .embedding = video.other_prompt() * (block == 3 ? 0.5 : 1)});
      if (block < 3) inputs.prompts.pop_back();
      inputs.live = source;
      video.render(live, inputs);
      EXPECT_EQ(source->asked, (std::vector<int64_t>{0, 1, 2, 3}));
      ASSERT_EQ(video.live_prompts.size(), 1u);
      EXPECT_EQ(video.live_prompts[0].text, "live");
      EXPECT_EQ(video.live_prompts[0].encoded.first_block, block);
      EXPECT_TENSORS_IDENTICAL(live.latents(), planned.latents());
      EXPECT_TENSORS_IDENTICAL(live.rgb(), planned.rgb());
    }
  }
}

// So does one that begins a shot: its block is pinned, and the next one has the prompt without the words of the cut.
TEST(RenderSession, LiveShotEqualsAPlannedShot) {
  class Cut : public PromptSource {
   public:
    explicit Cut(EncodedPrompt prompt) : prompt_(std::move(prompt)) {}
    std::optional<LivePrompt> at_block(int64_t block) override {
      if (block != prompt_.first_block) return {};
      return LivePrompt{.text = std::string(kShotPrefix) + "a lake", .encoded = prompt_};
    }

   private:
    EncodedPrompt prompt_;
  };
  RecordedVideo video("longlive2_shots");
  video.plan.blocks = 7;
  SessionInputs inputs = video.inputs;
  inputs.prompts.resize(1);
  inputs.shots.clear();
  KeepingSink live, planned, without;
  video.render(without, inputs);
  EncodedPrompt cut{.first_block = 2, .embedding = video.other_prompt()};
  cut.next = std::make_shared<EncodedPrompt>(EncodedPrompt{.embedding = video.other_prompt() * 0.5});
  SessionInputs later = inputs;
  later.live = std::make_shared<Cut>(cut);
  video.render(live, later);
  ASSERT_EQ(video.live_prompts.size(), 1u);
  EXPECT_TRUE(video.live_prompts.front().shot);
  inputs.prompts.push_back(cut);
  inputs.prompts.push_back({.first_block = 3, .embedding = video.other_prompt() * 0.5});
  inputs.shots = {2};
  video.render(planned, inputs);
  EXPECT_TENSORS_IDENTICAL(live.latents(), planned.latents());
  EXPECT_FALSE(testing::tensors_close(live.latents(), without.latents(), 1e-2, 1e-2));
}

// A prompt change recomputes the context; earlier work still counts.
TEST(RenderSession, CountersCountTheWholeVideoWhateverPromptsDo) {
  RecordedVideo video("pipeline_window9_sink3");
  video.inputs.noise = std::make_shared<SeededNoise>(1);
  video.plan.blocks = 6;
  SessionInputs changing = video.inputs;
  changing.prompts.push_back({.first_block = 4, .embedding = video.other_prompt()});
  KeepingSink sink, changed;
  const RenderCounts plain = video.render(sink), counts = video.render(changed, changing);
  EXPECT_EQ(counts.transformer.passes, plain.transformer.passes + 2) << "sink and window are two blocks";
  EXPECT_EQ(counts.evicted_frames, plain.evicted_frames);
  EXPECT_GT(counts.transformer.external_computed, plain.transformer.external_computed);
  for (size_t block = 1; block < 6; ++block) {
    EXPECT_GT(changed.blocks[block].counters.passes, changed.blocks[block - 1].counters.passes);
  }
  EXPECT_EQ(changed.blocks.back().counters.passes, counts.transformer.passes);
}

// Without kv_recache nothing is recomputed: keys and values stay as computed under the first prompt.
TEST(RenderSession, ContextMayStayAsComputedUnderTheOldPrompt) {
  RecordedVideo video("pipeline_window9_sink3");
  video.inputs.noise = std::make_shared<SeededNoise>(1);
  video.plan.blocks = 4;
  KeepingSink plain, renewed, kept;
  SessionInputs changing = video.inputs;
  changing.prompts.push_back({.first_block = 2, .embedding = video.other_prompt()});
  const RenderCounts unchanged = video.render(plain);
  video.render(renewed, changing);
  video.options.recipe.kv_recache = false;
  const RenderCounts counts = video.render(kept, changing);
  EXPECT_EQ(counts.transformer.passes, unchanged.transformer.passes);
  for (const size_t before : {0, 1}) {
    EXPECT_TENSORS_IDENTICAL(kept.blocks[before].latents, plain.blocks[before].latents);
  }
  for (const KeepingSink* other : {&plain, &renewed}) {
    EXPECT_FALSE(kept.blocks[2].latents.equal(other->blocks[2].latents));
  }
}

// With the same prompt again, and before anything is evicted, the recomputed context equals the old one.
TEST(RenderSession, ContextIsRecomputedFromTheSameLatents) {
  RecordedVideo video("pipeline_full");
  KeepingSink unchanged, renewed;
  video.render(unchanged);
  SessionInputs inputs = video.inputs;
  inputs.prompts.push_back({.first_block = 2, .embedding = inputs.prompts.front().embedding});
  video.render(renewed, inputs);
  EXPECT_TENSORS_CLOSE(renewed.latents(), unchanged.latents(), 1e-4, 1e-4);
}

TEST(RenderSession, FirstBlockMayHaveOtherSteps) {
  RecordedVideo video("pipeline_full");
  video.inputs.noise = std::make_shared<SeededNoise>(1);
  video.plan.blocks = 2;
  KeepingSink sink, as_always, more_steps;
  video.render(as_always);
  video.options.recipe.first_steps = video.options.recipe.steps;
  video.render(sink);
  EXPECT_TENSORS_IDENTICAL(sink.latents(), as_always.latents());
  video.options.recipe.first_steps = {1000, 900, 750, 500, 250, 100};
  EXPECT_EQ(video.render(more_steps).transformer.passes, 6 + 1 + 4);
  EXPECT_FALSE(testing::tensors_close(more_steps.blocks[0].latents, as_always.blocks[0].latents, 1e-3, 1e-3));
}

TEST(RenderSession, GuidanceOfOneIsNoGuidanceAndItsScaleMatters) {
  RecordedVideo video("pipeline_full");
  video.plan.blocks = 2;
  KeepingSink plain, towards_itself, guided;
  video.render(plain);
  video.options.recipe.guidance_scale = 3;
  video.inputs.negative_embedding = video.inputs.prompts.front().embedding;  // away from the prompt itself: no effect
  video.render(towards_itself);
  EXPECT_TENSORS_CLOSE(towards_itself.latents(), plain.latents(), 1e-4, 1e-4);
  video.inputs.negative_embedding = video.other_prompt();
  video.render(guided);
  EXPECT_FALSE(testing::tensors_close(guided.latents(), plain.latents(), 1e-2, 1e-2));
}

TEST(RenderSession, UniPcTakesItsOwnNumberOfSteps) {
  RecordedVideo video("pipeline_full");
  video.plan.blocks = 2;
  video.options.recipe.unipc_steps = 6;
  KeepingSink sink;
  EXPECT_EQ(video.render(sink).transformer.passes, 6 + 1 + 6);
  EXPECT_EQ(sink.latents().size(1), 6);
}

TEST(RenderSession, StopsBetweenPassesAndKeepsWhatIsFinished) {
  RecordedVideo video("pipeline_full");
  class StoppingSink : public KeepingSink {
   public:
    void write(const RenderedBlock& block) override {
      KeepingSink::write(block);
      if (blocks.size() == 2) stop.request_stop();
    }
    std::stop_source stop;
  } sink;
  video.options.overlap = Overlap::kOff;
  const RenderCounts counts = video.render(sink, video.inputs, sink.stop.get_token());
  EXPECT_EQ(counts.blocks_written, 2);
  EXPECT_TENSORS_CLOSE(sink.latents(), video.expected("latents").narrow(1, 0, 6), 1e-4, 1e-4);
}

TEST(RenderSession, ErrorOfTheSinkReachesTheCallerInBothModes) {
  class FullDisk : public FrameSink {
    void write(const RenderedBlock&) override { throw MediaError("the disk is full"); }
  } sink;
  for (const Overlap overlap : {Overlap::kOn, Overlap::kOff}) {
    RecordedVideo video("pipeline_extend3_shift8");
    video.options.overlap = overlap;
    EXPECT_THROW(video.render(sink), MediaError);
  }
}

TEST(RenderSession, FinishesTheSinkAfterTheLastBlock) {
  class FullDisk : public KeepingSink {
   public:
    void finish() override {
      blocks_at_finish = std::ssize(blocks);
      throw MediaError("the disk is full");
    }
    int64_t blocks_at_finish = 0;
  };
  for (const Overlap overlap : {Overlap::kOn, Overlap::kOff}) {
    RecordedVideo video("pipeline_extend3_shift8");
    video.options.overlap = overlap;
    FullDisk sink;
    EXPECT_THROW(video.render(sink), MediaError);
    EXPECT_EQ(sink.blocks_at_finish, video.plan.start_blocks() + video.plan.blocks);
  }
}

TEST(RenderSession, RefusesAnEmbeddingOfAnotherTextEncoder) {
  RecordedVideo video("pipeline_full");
  video.inputs.prompts.front().embedding = video.inputs.prompts.front().embedding.narrow(2, 0, 32);
  KeepingSink sink;
  EXPECT_THROW(video.render(sink), ConfigError);
}

TEST(RenderSession, RefusesNumbersThatAreNotFinite) {
  RecordedVideo video("pipeline_full");
  video.inputs.prompts.front().embedding =
      video.inputs.prompts.front().embedding * std::numeric_limits<float>::infinity();
  KeepingSink sink;
  EXPECT_THROW(video.render(sink), DeviceError);
}

}  // namespace
}  // namespace flashblock
