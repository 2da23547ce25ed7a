// The transformer against the published Python implementation, call by call over five frame blocks of five passes.
#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "models/video_transformer.h"
#include "tests/support/cuda.h"
#include "tests/support/formula_checkpoint.h"
#include "tests/support/formula_weights.h"
#include "tests/support/tensor_matchers.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

using testing::relative_norm_error;

// A parity file with the model and the video it was recorded with.
class Recording {
 public:
  Recording(const std::string& name, at::ScalarType dtype, at::Device device = at::kCPU)
      : data_(testing::parity_data(name)), video_(testing::parity_config(*data_)), device_(device), dtype_(dtype) {
    config_ = transformer_config_from_json(video_.dump(), name);
    model_ =
        VideoTransformer::load(*testing::formula_store(testing::transformer_shapes(video_)), config_, device, dtype);
  }

  TransformerState state(AttentionConfig attention) const {
    TransformerStateOptions options;
    options.geometry = {.width = video_.at("latent_width").get<int64_t>() * VaeStrides{}.width,
                        .height = video_.at("latent_height").get<int64_t>() * VaeStrides{}.height};
    options.frames_per_block = video_.at("frames_per_block");
    options.window_frames = video_.at("local_attn_size");
    options.sink_frames = video_.at("sink_size");
    options.max_frames = blocks() * options.frames_per_block;
    options.attention = attention;
    TransformerState state(config_, options, device_, dtype_);
    model_->set_prompt(state, text());
    return state;
  }

  // Largest relative error of a call over all blocks and passes. Fills `state`.
  double largest_error(TransformerState& state) const {
    double largest = 0;
    const auto timesteps = timesteps_of();
    for (int64_t block = 0; block < blocks(); ++block)
      for (int64_t step = 0; step < int64_t(timesteps.size()); ++step) {
        const at::Tensor x = tensor("x", block, step), expected = tensor("flow", block, step);
        const int64_t start = block * x.size(1);
        const at::Tensor flow = model_->forward(x, timesteps[size_t(step)], start, Pass::denoise(step), state);
        const double error = relative_norm_error(flow, expected);
        largest = std::max(largest, error);
        EXPECT_EQ(flow.sizes(), expected.sizes());
        if (timesteps[size_t(step)] == 0) model_->forward(x, 0, start, Pass::clean(), state);
      }
    return largest;
  }

  int64_t blocks() const {
    int64_t blocks = 0;
    while (data_->contains("x." + std::to_string(blocks) + ".0")) ++blocks;
    return blocks;
  }

  at::Tensor tensor(const std::string& name) const { return data_->tensor(name); }
  const TransformerConfig& config() const { return config_; }
  const VideoTransformer& model() const { return *model_; }

 private:
  // [B, C, F, H, W] in the file's layout B, C, F; ours is B, F, C.
  at::Tensor tensor(const std::string& kind, int64_t block, int64_t step) const {
    return data_->tensor(kind + "." + std::to_string(block) + "." + std::to_string(step))
        .transpose(1, 2)
        .contiguous()
        .to(device_);
  }

  at::Tensor text() const {
    if (data_->contains("context")) return data_->tensor("context");
    at::Tensor text =
        testing::formula_data("public/v1/1.3b/context", {1, config_.text_len, config_.text_dim}, std::sqrt(3.0));
    text.narrow(1, 341, config_.text_len - 341).zero_();
    return text;
  }

  std::vector<double> timesteps_of() const {
    return nlohmann::json::parse(data_->metadata().at("timesteps")).get<std::vector<double>>();
  }

  std::shared_ptr<const WeightStore> data_;
  nlohmann::json video_;
  at::Device device_;
  at::ScalarType dtype_;
  TransformerConfig config_;
  std::shared_ptr<const VideoTransformer> model_;
};

const AttentionConfig kExact{.mode = AttentionConfig::Mode::kExact};
const AttentionConfig kRefreshed{.mode = AttentionConfig::Mode::kFlashblock, .refresh = "every_pass"};

// Our cache orders frames as sink and ring, the reference by time; every frame we hold must be one of the reference's,
// and no two the same one. The reference still holds frames that the next block will evict; we do not.
void expect_same_frames(const at::Tensor& cached, const at::Tensor& expected, int64_t tokens_per_frame) {
  const at::Tensor ours = cached.unflatten(1, {-1, tokens_per_frame}),
                   theirs = expected.unflatten(1, {-1, tokens_per_frame});
  std::set<int64_t> found;
  for (int64_t frame = 0; frame < ours.size(1); ++frame)
    for (int64_t other = 0; other < theirs.size(1); ++other)
      if (relative_norm_error(ours.select(1, frame), theirs.select(1, other)) < 1e-5) found.insert(other);
  EXPECT_EQ(int64_t(found.size()), ours.size(1));
}

// Wan2.2's own model class: all frames in one block, without past.
TEST(TransformerParityWan22, TextToVideoCallAgrees) {
  const auto data = testing::parity_data("wan22_ti2v_call");
  const nlohmann::json video = testing::parity_config(*data);
  const TransformerConfig config = transformer_config_from_json(video.dump(), "wan22_ti2v_call");
  const auto model =
      VideoTransformer::load(*testing::formula_store(testing::transformer_shapes(video)), config, at::kCPU, at::kFloat);
  const VaeStrides strides = published_strides(config.in_channels);
  const at::Tensor x = data->tensor("x").transpose(1, 2).contiguous();
  TransformerState state(
      config,
      {.geometry = {.width = x.size(4) * strides.width, .height = x.size(3) * strides.height, .strides = strides},
       .frames_per_block = x.size(1),
       .max_frames = x.size(1),
       .attention = {.mode = AttentionConfig::Mode::kExact}},
      at::kCPU, at::kFloat);
  model->set_prompt(state, data->tensor("context").narrow(1, 0, 11));
  const at::Tensor flow = model->forward(x, 999, 0, Pass::denoise(0), state);
  EXPECT_LT(relative_norm_error(flow.transpose(1, 2), data->tensor("flow.t2v")), 1e-5);
  const FrameTimes image(std::vector<double>{0, 833, 833});
  const at::Tensor later = model->forward(x, image, 0, Pass::denoise(0), state);
  EXPECT_LT(relative_norm_error(later.transpose(1, 2), data->tensor("flow.i2v")), 1e-5);
}

// LongLive 2: a time per frame in the first block, a cut before block 2, which is pinned; the window rolls from
// block 4.
TEST(TransformerParityLongLive2, EveryCallAgrees) {
  const auto data = testing::parity_data("longlive2_call");
  const nlohmann::json video = testing::parity_config(*data);
  const TransformerConfig config = transformer_config_from_json(video.dump(), "longlive2_call");
  const auto model =
      VideoTransformer::load(*testing::formula_store(testing::transformer_shapes(video)), config, at::kCPU, at::kFloat);
  const at::Tensor context = data->tensor("context"), times = data->tensor("times");
  for (const AttentionConfig& attention : {kExact, kRefreshed}) {
    const TransformerStateOptions options{
        .geometry = {.width = 96, .height = 64, .strides = published_strides(config.in_channels)},
        .frames_per_block = 2,
        .window_frames = 8,
        .sink_frames = 2,
        .max_frames = 12,
        .shot_offset_frames = 8,
        .attention = attention};
    TransformerState state(config, options, at::kCPU, at::kFloat);
    for (int64_t block = 0; block < 6; ++block) {
      if (block == 0 || block == 2) model->set_prompt(state, context.narrow(0, block == 0 ? 0 : 1, 1));
      if (block == 2) state.begin_shot();
      for (int64_t pass = 0; pass < 3; ++pass) {
        const std::string place = std::to_string(block) + "." + std::to_string(pass);
        const std::string name = "longlive2_call/x/" + std::to_string(block) + "/" + std::to_string(pass);
        const at::Tensor x = testing::formula_data(name, {1, 2, 48, 4, 6}, 1.7), time = times[block * 3 + pass];
        const FrameTimes frames(std::vector<double>{time[0].item<double>(), time[1].item<double>()});
        const Pass kind = pass == 2 ? Pass::clean() : Pass::denoise(pass);
        const at::Tensor flow = model->forward(x, frames, 2 * block, kind, state);
        if (data->contains("flow." + place)) {
          EXPECT_LT(relative_norm_error(flow, data->tensor("flow." + place)), 1e-5) << place;
        }
      }
    }
  }
}

class TransformerParity : public ::testing::TestWithParam<const char*> {};

TEST_P(TransformerParity, EveryCallAndTheCacheAgreeInFloat32) {
  const Recording recording(GetParam(), at::kFloat);
  for (const AttentionConfig& attention : {kExact, kRefreshed}) {
    TransformerState state = recording.state(attention);
    const double error = recording.largest_error(state);
    std::cout << GetParam() << ", " << to_string(attention.mode) << ": largest relative error " << error << '\n';
    EXPECT_LT(error, 1e-5);
    const int64_t per_frame = state.options().geometry.tokens_per_frame();
    expect_same_frames(state.layer(0).kv.past().keys, recording.tensor("cache_k.layer0"), per_frame);
    expect_same_frames(state.layer(recording.config().layers - 1).kv.past().values, recording.tensor("cache_v.last"),
                       per_frame);
  }
}

INSTANTIATE_TEST_SUITE_P(Recordings, TransformerParity,
                         ::testing::Values("dit_full", "dit_window6_sink1", "dit_window7_sink2"),
                         [](const auto& info) { return std::string(info.param); });

// Both runs round every operator to bf16 at the same places, but sums inside matrix products and attention run in
// another order, and one flipped rounding moves all that follows: their errors are as if independent, each about as far
// from the float32 result, so their distance may be sqrt(2) times the distance of the float32 run from the recording.
TEST(TransformerParityBfloat16, EveryCallAgreesWithinTheRecordingsOwnRounding) {
  const Recording rounded("dit_full_bf16", at::kBFloat16);
  TransformerState state = rounded.state(kExact);
  const double error = rounded.largest_error(state);
  const Recording unrounded("dit_full_bf16", at::kFloat);
  TransformerState wide = unrounded.state(kExact);
  const double rounding = unrounded.largest_error(wide);
  std::cout << "bf16 against bf16 recording " << error << ", float32 against bf16 recording " << rounding << '\n';
  EXPECT_LT(error, 1.5 * rounding);
}

void expect_agreement(const char* name, at::Device device, at::ScalarType dtype, double bound) {
  const Recording recording(name, dtype, device);
  TransformerState state = recording.state(kExact);
  const double error = recording.largest_error(state);
  std::cout << name << " in " << dtype << " on " << device << ": largest relative error " << error << '\n';
  EXPECT_LT(error, bound);
}

// 1.4 billion weights: 5.7 GB and minutes.
TEST(TransformerParitySlow, PublishedSizeAgrees) {
  expect_agreement("dit_1.3b", at::kCPU, at::kFloat, 1e-5);
  expect_agreement("dit_1.3b", at::kCPU, at::kBFloat16, 3e-2);
}

// A GPU adds up in another order, and its attention kernels in blocks of keys.
TEST(TransformerParityCuda, EveryCallAgrees) {
  FLASHBLOCK_NEED_CUDA();
  for (const char* name : {"dit_full", "dit_window6_sink1", "dit_window7_sink2", "dit_1.3b"})
    expect_agreement(name, testing::kGpu, at::kFloat, 1e-4);
  for (const char* name : {"dit_full", "dit_1.3b"}) expect_agreement(name, testing::kGpu, at::kBFloat16, 3e-2);
}

}  // namespace
}  // namespace flashblock
