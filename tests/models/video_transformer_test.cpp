// Properties of the transformer with its caches, on a small model with formula weights.
#include "models/video_transformer.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "tests/support/cuda.h"
#include "tests/support/formula_checkpoint.h"
#include "tests/support/formula_weights.h"
#include "tests/support/tensor_matchers.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

using testing::relative_norm_error;

constexpr int64_t kFrames = 3, kBlocks = 5, kSteps = 3;
constexpr double kTimesteps[kSteps] = {1000, 937.5, 625};
const AttentionConfig kExact{.mode = AttentionConfig::Mode::kExact};

AttentionConfig flashblock_with(RefreshPolicyRef refresh) { return {AttentionConfig::Mode::kFlashblock, refresh}; }

TransformerConfig small_config() {
  return {.dim = 128, .heads = 2, .layers = 3, .ffn_dim = 192, .freq_dim = 64, .text_dim = 24, .text_len = 8};
}

std::shared_ptr<const WeightStore> small_weights() {
  const TransformerConfig c = small_config();
  const nlohmann::json sizes{
      {"dim", c.dim},           {"num_layers", c.layers},  {"ffn_dim", c.ffn_dim},      {"freq_dim", c.freq_dim},
      {"text_dim", c.text_dim}, {"in_dim", c.in_channels}, {"out_dim", c.out_channels}, {"patch_size", {1, 2, 2}}};
  static const auto store = testing::formula_store(testing::transformer_shapes(sizes));
  return store;
}

struct Setting {
  AttentionConfig attention = kExact;
  int64_t window_frames = 9;
  int64_t sink_frames = 3;
  int64_t position_frames = kRopePositions;
  int64_t shot_offset_frames = 0;
  int64_t batch = 1;
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
  LayerPlacement placement = LayerPlacement::kResident;
  LinearPrecision linears = LinearPrecision::kNative;
};

std::shared_ptr<const VideoTransformer> load(const Setting& setting) {
  return setting.placement == LayerPlacement::kResident
             ? VideoTransformer::load(*small_weights(), small_config(), setting.device, setting.dtype, setting.linears)
             : VideoTransformer::stream(small_weights(), small_config(), setting.device, setting.dtype,
                                        setting.linears);
}

class Video {
 public:
  explicit Video(const Setting& setting)
      : setting_(setting),
        model_(load(setting)),
        state_(model_->config(),
               {.geometry = {.width = 64, .height = 48},
                .frames_per_block = kFrames,
                .window_frames = setting.window_frames,
                .sink_frames = setting.sink_frames,
                .max_frames = 2000,
                .position_frames = setting.position_frames,
                .shot_offset_frames = setting.shot_offset_frames,
                .batch = setting.batch,
                .attention = setting.attention},
               setting.device, setting.dtype) {
    set_prompt("text");
  }

  void set_prompt(const std::string& name) {
    model_->set_prompt(state_, testing::formula_data(name, {1, 6, 24}, 1).expand({setting_.batch, 6, 24}));
  }

  at::Tensor latents(int64_t start_frame, int64_t step, int64_t frames) const {
    const std::string name = "x" + std::to_string(start_frame) + "." + std::to_string(step);
    return testing::formula_data(name, {1, frames, 16, 6, 8}, 1.7)
        .expand({setting_.batch, frames, 16, 6, 8})
        .to(setting_.device);
  }

  at::Tensor run(int64_t start_frame, int64_t step, int64_t frames = kFrames) {
    return model_->forward(latents(start_frame, step, frames), kTimesteps[step], start_frame, Pass::denoise(step),
                           state_);
  }
  void finish(int64_t start_frame, int64_t frames = kFrames) {
    model_->forward(latents(start_frame, kSteps, frames), 0, start_frame, Pass::clean(), state_);
  }

  // The latents of `block`, as if the block lay at `start_frame`.
  at::Tensor run_at(int64_t block, int64_t start_frame) {
    return model_->forward(latents(block, 0, kFrames), kTimesteps[0], start_frame, Pass::denoise(0), state_);
  }
  void finish_at(int64_t block, int64_t start_frame) {
    model_->forward(latents(block, kSteps, kFrames), 0, start_frame, Pass::clean(), state_);
  }

  // The flows of all passes of some frame blocks.
  std::vector<at::Tensor> run_blocks(int64_t blocks) {
    std::vector<at::Tensor> flows;
    for (int64_t block = 0; block < blocks; ++block) {
      for (int64_t step = 0; step < kSteps; ++step) flows.push_back(run(block * kFrames, step));
      finish(block * kFrames);
    }
    return flows;
  }

  TransformerState& state() { return state_; }

 private:
  Setting setting_;
  std::shared_ptr<const VideoTransformer> model_;
  TransformerState state_;
};

double largest_error(const std::vector<at::Tensor>& actual, const std::vector<at::Tensor>& expected) {
  double largest = 0;
  for (size_t i = 0; i < expected.size(); ++i) largest = std::max(largest, relative_norm_error(actual[i], expected[i]));
  return largest;
}

TEST(VideoTransformer, AWindowThatHoldsTheVideoEqualsNoWindow) {
  const auto expected = Video({.window_frames = -1, .sink_frames = 0}).run_blocks(kBlocks);
  Video windowed({.window_frames = kBlocks * kFrames, .sink_frames = 3});
  EXPECT_LT(largest_error(windowed.run_blocks(kBlocks), expected), 1e-5);
  EXPECT_EQ(windowed.state().evicted_frames(), kFrames) << "only those that a further block would not see";
  Video narrow({.window_frames = 9, .sink_frames = 3});
  EXPECT_GT(largest_error(narrow.run_blocks(kBlocks), expected), 1e-3) << "the window must matter";
  EXPECT_EQ(narrow.state().evicted_frames(), kBlocks * kFrames - 6);
}

TEST(VideoTransformer, FirstBlockIsTheSameBitForBitInBothModes) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const auto expected = Video({.attention = kExact, .dtype = dtype}).run_blocks(1);
    const auto actual = Video({.attention = flashblock_with("first_pass"), .dtype = dtype}).run_blocks(1);
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_TENSORS_IDENTICAL(actual[i], expected[i]);
  }
}

void expect_policies(const Setting& base, double tolerance) {
  const auto run = [&](AttentionConfig attention) {
    Setting setting = base;
    setting.attention = attention;
    return Video(setting).run_blocks(kBlocks);
  };
  const auto exact = run(kExact);
  EXPECT_LT(largest_error(run(flashblock_with("every_pass")), exact), tolerance);
  for (const RefreshPolicyRef policy : {"first_pass", "first_and_clean_pass"}) {
    const auto reused = run(flashblock_with(policy));
    EXPECT_GT(largest_error(reused, exact), tolerance) << "nothing was reused by " << to_string(policy);
    for (const at::Tensor& flow : reused) EXPECT_TRUE(at::isfinite(flow).all().item<bool>());
  }
}

TEST(VideoTransformer, EveryPassRefreshedEqualsExactAndReuseDiffers) { expect_policies({}, 1e-5); }
TEST(VideoTransformerCuda, EveryPassRefreshedEqualsExactAndReuseDiffers) {
  FLASHBLOCK_NEED_CUDA();
  expect_policies({.device = testing::kGpu}, 1e-5);
}

// Another device sums in another order: float32 rounding over three layers, and in bf16 the rounding of every operator.
void expect_cuda_like_cpu(at::ScalarType dtype, AttentionConfig attention, double tolerance) {
  const auto expected = Video({.attention = attention}).run_blocks(kBlocks);
  const auto actual = Video({.attention = attention, .device = testing::kGpu, .dtype = dtype}).run_blocks(kBlocks);
  EXPECT_LT(largest_error(actual, expected), tolerance) << at::toString(dtype);
}
TEST(VideoTransformerCuda, AgreesWithTheCpu) {
  FLASHBLOCK_NEED_CUDA();
  for (const AttentionConfig& attention : {kExact, flashblock_with("first_and_clean_pass")}) {
    expect_cuda_like_cpu(at::kFloat, attention, 1e-4);
    expect_cuda_like_cpu(at::kBFloat16, attention, 3e-2);
  }
}

void expect_streamed_like_resident(at::Device device) {
  for (const auto& [dtype, linears] : {std::pair{at::kFloat, LinearPrecision::kNative},
                                       {at::kBFloat16, LinearPrecision::kNative},
                                       {at::kBFloat16, LinearPrecision::kInt8}}) {
    const auto expected = Video({.device = device, .dtype = dtype, .linears = linears}).run_blocks(kBlocks);
    Video streamed({.device = device, .dtype = dtype, .placement = LayerPlacement::kStreamed, .linears = linears});
    const auto actual = streamed.run_blocks(kBlocks);
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_TENSORS_IDENTICAL(actual[i], expected[i]);
    streamed.set_prompt("text");
    streamed.state().reset();
    EXPECT_TENSORS_IDENTICAL(streamed.run(0, 0), expected[0]);
  }
}

TEST(VideoTransformer, StreamedLayersGiveTheSameBits) { expect_streamed_like_resident(at::kCPU); }
TEST(VideoTransformerCuda, StreamedLayersGiveTheSameBits) {
  FLASHBLOCK_NEED_CUDA();
  expect_streamed_like_resident(testing::kGpu);
}

// Five blocks, so that errors of cached keys and values are in it.
void expect_int8_close(at::Device device, at::ScalarType dtype) {
  const auto expected = Video({}).run_blocks(kBlocks);
  const auto native = Video({.device = device, .dtype = dtype}).run_blocks(kBlocks);
  const auto actual = Video({.device = device, .dtype = dtype, .linears = LinearPrecision::kInt8}).run_blocks(kBlocks);
  double largest = 0, smallest = 1;
  for (size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, relative_norm_error(actual[i].cpu().to(at::kFloat), expected[i]));
    smallest = std::min(smallest, relative_norm_error(actual[i].cpu(), native[i].cpu()));
  }
  std::cout << "int8 linears on " << device << ": largest relative error " << largest << "\n";
  EXPECT_LE(largest, 3e-2);
  EXPECT_GT(smallest, 0) << "the linears are not in int8";
}

TEST(VideoTransformer, Int8LinearsAreClose) { expect_int8_close(at::kCPU, at::kFloat); }
TEST(VideoTransformerCuda, Int8LinearsAreClose) {
  FLASHBLOCK_NEED_CUDA();
  expect_int8_close(testing::kGpu, at::kBFloat16);
}

// Of a window of 9 frames 3 are recent ones.
void expect_kv_cache_close(at::Device device, at::ScalarType dtype, double bound) {
  for (const AttentionConfig& attention : {kExact, flashblock_with("first_and_clean_pass")}) {
    AttentionConfig int8 = attention;
    int8.kv_cache = AttentionPrecision::kInt8;
    Video native({.attention = attention, .device = device, .dtype = dtype});
    Video video({.attention = int8, .device = device, .dtype = dtype});
    const auto expected = native.run_blocks(kBlocks), actual = video.run_blocks(kBlocks);
    const double largest = largest_error(actual, expected);
    std::cout << "KV cache in 8 bits on " << device << ": largest relative error " << largest << "\n";
    EXPECT_LE(largest, bound);
    EXPECT_GT(largest, 0) << "not in 8 bits";
    EXPECT_LT(video.state().bytes(), native.state().bytes());
    video.state().reset();
    const auto again = video.run_blocks(kBlocks);
    for (size_t i = 0; i < again.size(); ++i) EXPECT_TENSORS_IDENTICAL(again[i], actual[i]);
  }
}

TEST(VideoTransformer, AKvCacheInEightBitsIsClose) { expect_kv_cache_close(at::kCPU, at::kFloat, 1e-3); }
TEST(VideoTransformerCuda, AKvCacheInEightBitsIsClose) {
  FLASHBLOCK_NEED_CUDA();
  expect_kv_cache_close(testing::kGpu, at::kBFloat16, 1e-2);
}

TEST(VideoTransformer, CountsPassesAndExternalAttentions) {
  Video video({.attention = flashblock_with("first_and_clean_pass")});
  video.run_blocks(kBlocks);
  const TransformerCounters counters = video.state().counters();
  const int64_t later_blocks = kBlocks - 1, layers = small_config().layers;
  EXPECT_EQ(counters.passes, kBlocks * (kSteps + 1));
  // The clean pass needs no attention in the last layer.
  EXPECT_EQ(counters.external_computed, later_blocks * (layers + layers - 1) * small_config().heads);
  EXPECT_EQ(counters.external_reused, later_blocks * (kSteps - 1) * layers * small_config().heads);
}

TEST(VideoTransformer, MemoryDoesNotGrowWithTheVideo) {
  Video video({.attention = flashblock_with("first_pass")});
  video.run_blocks(3);
  const int64_t before = video.state().bytes();
  for (int64_t block = 3; block < 9; ++block) {
    video.run(block * kFrames, 0);
    video.finish(block * kFrames);
  }
  EXPECT_EQ(video.state().bytes(), before);
}

TEST(VideoTransformer, ResetBeginsTheSameVideoAgain) {
  Video video({.attention = flashblock_with("first_pass")});
  const auto first = video.run_blocks(3);
  video.state().reset();
  EXPECT_EQ(video.state().next_frame(), 0);
  const auto second = video.run_blocks(3);
  for (size_t i = 0; i < first.size(); ++i) EXPECT_TENSORS_IDENTICAL(second[i], first[i]);
}

TEST(VideoTransformer, BatchMembersAreIndependentVideos) {
  const auto one = Video({}).run_blocks(3), two = Video({.batch = 2}).run_blocks(3);
  for (size_t i = 0; i < one.size(); ++i)
    for (int64_t member = 0; member < 2; ++member)
      EXPECT_TENSORS_NEAR_IN_NORM(two[i].narrow(0, member, 1), one[i], 1e-5);
}

// Running the past again, sink first and then the window, leaves the cache as it was: frames between may be left out.
TEST(VideoTransformer, ThePastCanBeRunAgainWithAGap) {
  Video video({});
  for (int64_t block = 0; block < kBlocks; ++block) video.finish(block * kFrames);
  const TransformerCounters before = video.state().counters();
  video.state().evict_all();
  video.set_prompt("another text");
  video.finish(0);
  video.finish((kBlocks - 1) * kFrames);
  EXPECT_EQ(video.state().counters().passes, before.passes + 2) << "the counters count on";
  EXPECT_GE(video.state().counters().external_computed, before.external_computed);
  EXPECT_EQ(video.state().next_frame(), kBlocks * kFrames);
  const at::Tensor flow = video.run(kBlocks * kFrames, 0);

  Video direct({});
  direct.set_prompt("another text");
  direct.finish(0);
  direct.finish((kBlocks - 1) * kFrames);
  EXPECT_TENSORS_IDENTICAL(flow, direct.run(kBlocks * kFrames, 0));
  EXPECT_EQ(video.state().evicted_frames(), (kBlocks - 2) * kFrames) << "those left out";
}

// Attention sees differences of positions alone, so where a video begins does not matter, table or no table.
TEST(VideoTransformer, FramesBeyondThePublishedTableAreLikeThoseBefore) {
  for (const auto& [dtype, tolerance] : {std::pair{at::kFloat, 2e-6}, std::pair{at::kBFloat16, 2e-2}}) {
    const auto flows = [&](int64_t begin) {
      Video video({.sink_frames = 0, .dtype = dtype});
      std::vector<at::Tensor> result;
      for (int64_t block = 0; block < 4; ++block) {
        result.push_back(video.run_at(block, begin + block * kFrames));
        video.finish_at(block, begin + block * kFrames);
      }
      return result;
    };
    const auto early = flows(0), late = flows(1017), later = flows(1900);
    EXPECT_LT(largest_error(late, early), tolerance);
    EXPECT_LT(largest_error(later, early), tolerance);
  }
}

// The sink of a long video lies where the published table still reaches: as if it had been written there.
TEST(VideoTransformer, TheSinkOfALongVideoMovesAlong) {
  constexpr int64_t kReach = 30, kStart = 90;
  for (const auto& [dtype, tolerance] : {std::pair{at::kFloat, 2e-6}, std::pair{at::kBFloat16, 2e-2}}) {
    const Setting setting{.window_frames = 6, .position_frames = kReach, .dtype = dtype};
    Video moved(setting), unlimited({.window_frames = 6, .dtype = dtype}), placed({.window_frames = 6, .dtype = dtype});
    moved.finish_at(0, 0);
    unlimited.finish_at(0, 0);
    placed.finish_at(0, kStart + kFrames - kReach);
    const at::Tensor wanted = placed.run_at(1, kStart);
    EXPECT_TENSORS_NEAR_IN_NORM(moved.run_at(1, kStart), wanted, tolerance);
    EXPECT_TENSORS_NEAR_IN_NORM(moved.run_at(1, kStart), wanted, tolerance) << "a second pass moves nothing";
    if (dtype == at::kFloat) {
      EXPECT_GT(relative_norm_error(unlimited.run_at(1, kStart), wanted), 1e-4);
    }
    // From block to block it is turned from where it was written: roundings do not pile up.
    for (int64_t frame = kStart + kFrames; frame < kStart + 100 * kFrames; frame += kFrames) {
      moved.state().place_past(frame + kFrames);
    }
    moved.state().place_past(kStart + kFrames);
    EXPECT_TENSORS_NEAR_IN_NORM(moved.run_at(1, kStart), wanted, tolerance);
  }
}

// A pinned block does as the sink does: it moves along once it is out of reach, and both keep their values.
TEST(VideoTransformer, ThePinnedBlockOfALongShotMovesAlong) {
  constexpr int64_t kReach = 30, kOffset = 8, kStart = 90;
  Video video({.window_frames = 12, .position_frames = kReach, .shot_offset_frames = kOffset});
  TransformerState& state = video.state();
  video.finish_at(0, 0);
  state.begin_shot();
  video.finish_at(1, kFrames);
  const KeyRange pinned = state.layer(0).kv.pinned();
  ASSERT_FALSE(pinned.empty());
  const at::Tensor keys = pinned.keys.clone(), values = pinned.values.clone();
  video.run_at(2, kStart);
  const int64_t end = kStart + kFrames + kOffset, position = kFrames + kOffset;
  EXPECT_TENSORS_NEAR_IN_NORM(pinned.keys, state.moved(keys, end - position - kReach), 1e-6);
  EXPECT_GT(relative_norm_error(pinned.keys, keys), 1e-2);
  EXPECT_TENSORS_IDENTICAL(pinned.values, values);
  state.begin_shot();
  video.finish_at(3, kStart + kFrames);
  EXPECT_FALSE(at::equal(state.layer(0).kv.pinned().values, values)) << "the next shot pins its own block";
}

TEST(VideoTransformer, AVideoWithinReachIsTheSameBitForBit) {
  const auto expected = Video({.window_frames = 9}).run_blocks(kBlocks);
  const auto within = Video({.window_frames = 9, .position_frames = kBlocks * kFrames}).run_blocks(kBlocks);
  const auto beyond = Video({.window_frames = 9, .position_frames = kBlocks * kFrames - 1}).run_blocks(kBlocks);
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_TENSORS_IDENTICAL(within[i], expected[i]);
  EXPECT_FALSE(at::equal(beyond.back(), expected.back())) << "the last block is out of reach by one frame";
  Video again({.window_frames = 9, .position_frames = kBlocks * kFrames - 1});
  again.run_blocks(kBlocks);
  again.state().reset();
  const auto second = again.run_blocks(kBlocks);
  for (size_t i = 0; i < beyond.size(); ++i) EXPECT_TENSORS_IDENTICAL(second[i], beyond[i]);
}

TEST(VideoTransformer, TheLastBlockMayBeShorter) {
  Video exact({}), merged({.attention = flashblock_with("every_pass")});
  exact.run_blocks(3);
  merged.run_blocks(3);
  const at::Tensor flow = merged.run(3 * kFrames, 0, 2);
  EXPECT_EQ(flow.sizes(), (at::IntArrayRef{1, 2, 16, 6, 8}));
  EXPECT_TENSORS_NEAR_IN_NORM(flow, exact.run(3 * kFrames, 0, 2), 1e-5);
  merged.finish(3 * kFrames, 2);
  EXPECT_EQ(merged.state().next_frame(), 3 * kFrames + 2);
}

TEST(VideoTransformer, ThePromptMatters) {
  Video video({});
  const at::Tensor first = video.run(0, 0);
  video.set_prompt("another text");
  EXPECT_GT(relative_norm_error(video.run(0, 0), first), 1e-3);
}

TEST(TransformerState, RefusesImpossibleVideos) {
  const auto message = [](TransformerStateOptions options) {
    options.geometry = {.width = 64, .height = 48};
    try {
      TransformerState(small_config(), options, at::kCPU, at::kFloat);
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_NE(message({.window_frames = 5, .sink_frames = 3, .max_frames = 30}).find("at least 6"), std::string::npos);
  EXPECT_NE(message({.window_frames = -2, .max_frames = 30}).find("-1 means all"), std::string::npos);
  EXPECT_NE(message({.frames_per_block = 0, .max_frames = 30}).find("frames_per_block"), std::string::npos);
  EXPECT_NE(message({.sink_frames = -1, .max_frames = 30}).find("sink_frames"), std::string::npos);
  EXPECT_EQ(message({.window_frames = 6, .sink_frames = 3, .max_frames = 30}), "accepted");
}

TEST(TransformerConfig, IsReadFromTensorShapesAndMetadata) {
  const TransformerConfig found = transformer_config_from_weights(*small_weights()), wanted = small_config();
  EXPECT_EQ(found.dim, wanted.dim);
  EXPECT_EQ(found.layers, wanted.layers);
  EXPECT_EQ(found.ffn_dim, wanted.ffn_dim);
  EXPECT_EQ(found.freq_dim, wanted.freq_dim);
  EXPECT_EQ(found.text_dim, wanted.text_dim);
  EXPECT_EQ(found.in_channels, wanted.in_channels);
  EXPECT_EQ(found.out_channels, wanted.out_channels);
  EXPECT_EQ(found.heads, 1);  // 128 / 128: not in the shapes
  std::map<std::string, at::Tensor> tensors;
  for (const std::string& name : small_weights()->names()) tensors[name] = small_weights()->tensor(name);
  const auto store = WeightStore::from_tensors(tensors, "file", {{"config", R"({"num_heads": 2, "text_len": 8})"}});
  EXPECT_EQ(transformer_config_from_weights(*store).heads, 2);
  EXPECT_EQ(transformer_config_from_weights(*store).text_len, 8);
}

TEST(TransformerConfig, ReadsDiffusersKeysAndNamesWrongTypes) {
  const TransformerConfig found = transformer_config_from_json(
      R"({"num_attention_heads": 12, "attention_head_dim": 128, "num_layers": 30, "in_channels": 16})", "config.json");
  EXPECT_EQ(found.dim, 1536);
  EXPECT_EQ(found.layers, 30);
  try {
    transformer_config_from_json(R"({"num_heads": "twelve"})", "config.json");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_EQ(std::string(error.what()),
              "config.json: num_heads is \"twelve\", wanted a whole number from 0 to 1000000");
  }
  EXPECT_THROW(transformer_config_from_json("[1, 2", "config.json"), ConfigError);
}

TEST(TransformerConfig, RefusesTensorsThatAreNoTransformer) {
  const auto refused = [](std::map<std::string, at::Tensor> tensors) {
    EXPECT_THROW(transformer_config_from_weights(*WeightStore::from_tensors(std::move(tensors))), WeightsError);
  };
  refused({{"decoder.conv1.weight", at::zeros({1})}});
  refused({{"patch_embedding.weight", at::zeros({0, 16, 1, 2, 2})}});
  refused({{"patch_embedding.weight", at::zeros({128, 16, 1, 2, 2})}, {"blocks.0.ffn.0.weight", at::scalar_tensor(1)}});
}

}  // namespace
}  // namespace flashblock
