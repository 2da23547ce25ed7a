// The split of a video into calls must not change it; a reset must clear the state.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <gtest/gtest.h>

#include <future>
#include <map>
#include <vector>

#include "tests/support/formula_checkpoint.h"
#include "tests/support/tensor_matchers.h"
#include "tests/vae/device_cases.h"
#include "vae/latent_decoder.h"
#include "vae/latent_encoder.h"

namespace flashblock::testing {
namespace {

std::shared_ptr<const WeightStore> weights_of(const std::string& kind) {
  if (kind == "published") {
    static const auto published = formula_store(vae_shapes(96));  // computed for some time
    return published;
  }
  if (kind == "wan22") return formula_store(wan22_vae_shapes(4, 4));
  if (kind == "taehv22_super") return formula_store(taehv22_super_shapes());
  return formula_store(kind == "taehv" ? taehv_shapes() : vae_shapes(8));
}

at::Tensor decode_in_calls(LatentDecoder& decoder, const at::Tensor& latents, const std::vector<int64_t>& calls) {
  std::vector<at::Tensor> frames;
  int64_t first = 0;
  for (const int64_t count : calls) {
    frames.push_back(decoder.decode_unclamped(latents.narrow(1, first, count)));
    first += count;
  }
  return at::cat(frames).cpu();
}

struct StreamingCase {
  std::string kind;
  at::Device device;
  at::ScalarType dtype;
  double bound;
};

class Streaming : public ::testing::TestWithParam<StreamingCase> {
 protected:
  void SetUp() override {
    FB_SKIP_WITHOUT_GPU(GetParam().device);
    at::set_num_threads(1);  // thousands of tiny operations: on a busy machine, threads would wait for each other
    decoder_ = load_latent_decoder(*weights_of(GetParam().kind), GetParam().device, GetParam().dtype);
  }
  void TearDown() override { at::set_num_threads(threads_); }

  /// Of 32x48 pixels.
  at::Tensor some_latents(int64_t frames, const std::string& name = "latents") const {
    const int64_t stride = decoder_->pixel_stride();
    return formula_data(name, {1, frames, decoder_->latent_channels(), 32 / stride, 48 / stride}, 1.0);
  }

  const int threads_ = at::get_num_threads();
  std::unique_ptr<LatentDecoder> decoder_;
};

TEST_P(Streaming, EverySplitGivesTheSameVideo) {
  const at::Tensor latents = some_latents(7);
  const at::Tensor whole = decode_in_calls(*decoder_, latents, {7});
  ASSERT_EQ(whole.sizes(), at::IntArrayRef({25, 3, 32, 48}));
  for (const std::vector<int64_t>& calls : {std::vector<int64_t>{3, 3, 1}, {1, 1, 1, 1, 1, 1, 1}, {2, 5}, {1, 6}}) {
    decoder_->reset();
    EXPECT_TENSORS_NEAR_IN_NORM(decode_in_calls(*decoder_, latents, calls), whole, GetParam().bound)
        << "first call of " << calls[0];
  }
}

TEST_P(Streaming, FirstCallOfAVideoIsShorter) {
  const at::Tensor latents = some_latents(4);
  EXPECT_EQ(decoder_->decode(latents.narrow(1, 0, 3)).size(0), 9);
  EXPECT_EQ(decoder_->decode(latents.narrow(1, 3, 1)).size(0), 4);
  decoder_->reset();
  EXPECT_EQ(decoder_->decode(latents.narrow(1, 0, 1)).size(0), 1);
}

TEST_P(Streaming, ResetClearsTheVideoAndItsSize) {
  const at::Tensor latents = some_latents(3);
  const at::Tensor fresh = decode_in_calls(*decoder_, latents, {3});
  const at::Tensor continued = decode_in_calls(*decoder_, latents, {3});
  EXPECT_NE(continued.size(0), fresh.size(0));
  decoder_->reset();
  decode_in_calls(*decoder_, some_latents(2, "other").narrow(3, 0, 1), {2});
  decoder_->reset();
  EXPECT_TENSORS_NEAR_IN_NORM(decode_in_calls(*decoder_, latents, {3}), fresh, GetParam().bound);
}

// As in a render: a decoder is two stages where each has one of the processor's threads. How sums are divided among
// threads may change their last bits.
TEST_P(Streaming, HalvesOnTwoThreadsGiveTheSameVideo) {
  const at::Tensor latents = some_latents(7);
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  for (const int64_t per_call : {1, 2, 4}) {
    const std::vector<at::Tensor> calls = latents.split(per_call, 1);
    std::vector<at::Tensor> whole, halves;
    decoder_->reset();
    for (const at::Tensor& call : calls) whole.push_back(decoder_->decode(call));
    decoder_->reset();
    LatentDecoder::HalfDecoded half = decoder_->begin(calls.front());
    for (size_t i = 0; i < calls.size(); ++i) {
      std::future<LatentDecoder::HalfDecoded> next;
      if (i + 1 < calls.size())
        next = std::async(std::launch::async, [&] {
          at::set_num_threads(1);
          return decoder_->begin(calls[i + 1]);
        });
      halves.push_back(decoder_->finish(half));
      if (next.valid()) half = next.get();
    }
    EXPECT_TENSORS_IDENTICAL(at::cat(halves), at::cat(whole)) << per_call << " latent frames per call";
  }
  at::set_num_threads(threads);
}

TEST_P(Streaming, StateDoesNotGrow) {
  const at::Tensor latents = some_latents(2);
  EXPECT_EQ(decoder_->state_bytes(), 0);
  decoder_->decode(latents);
  decoder_->decode(latents);
  const int64_t bytes = decoder_->state_bytes();
  EXPECT_GT(bytes, 0);
  for (int call = 0; call < 10; ++call) decoder_->decode(latents);
  EXPECT_EQ(decoder_->state_bytes(), bytes);
}

// Reference: a decoder that has decoded the whole video. Videos of several lengths, so that layers are restored from
// different calls, and the first layer from the video's start or long after it. Fewer of them in bfloat16 on the CPU,
// where a latent frame takes ten times as long without instructions for it: what is restored does not depend on the
// type.
TEST_P(Streaming, RestoredDecoderContinuesBitForBit) {
  const auto restored = load_latent_decoder(*weights_of(GetParam().kind), GetParam().device, GetParam().dtype);
  const bool slow = GetParam().device.is_cpu() && GetParam().dtype == at::kBFloat16;
  const std::map<int64_t, std::vector<int64_t>> all{{3, {1, 2, 3, 5, 9, 15, 16}}, {1, {2, 45}}}, few{{3, {1, 6}}};
  for (const auto& [per_call, counts] : slow ? few : all) {
    decoder_->reset();
    std::vector<at::Tensor> calls;
    for (const int64_t count : counts) {
      while (static_cast<int64_t>(calls.size()) < count) {
        const std::string name = "call" + std::to_string(calls.size());
        calls.push_back(some_latents(per_call, name));
        decoder_->decode(calls.back());
      }
      restored->restore(calls);
      EXPECT_EQ(restored->state_bytes(), decoder_->state_bytes()) << count;
      for (int next = 0; next < 2; ++next) {
        const std::string name = "call" + std::to_string(calls.size());
        calls.push_back(some_latents(per_call, name));
        EXPECT_TENSORS_IDENTICAL(restored->decode(calls.back()), decoder_->decode(calls.back()))
            << "call " << next << " after " << count << " of " << per_call;
      }
    }
  }
}

TEST(LayerMemory, DeeperLayersNeedFewerLatents) {
  // Two residual blocks, a doubling with two frames of history, a residual block at twice the rate, the last
  // convolution.
  EXPECT_EQ(latent_frames_to_restore({{4}, {4}, {2, 2}, {4}, {2}}), (std::vector<int64_t>{13, 9, 5, 3, 1}));
  EXPECT_EQ(latent_frames_to_restore({{0, 2}, {0, 1}}), (std::vector<int64_t>{0, 0})) << "no layer has a history";
}

TEST_P(Streaming, DecodeClampsFloat32Pixels) {
  const at::Tensor latents = some_latents(2) * 3;
  const at::Tensor unclamped = decoder_->decode_unclamped(latents);
  decoder_->reset();
  const at::Tensor pixels = decoder_->decode(latents.to(at::kBFloat16).to(latents.scalar_type()));
  EXPECT_EQ(pixels.scalar_type(), at::kFloat);
  EXPECT_TRUE(pixels.is_contiguous());
  EXPECT_GT((unclamped - unclamped.clamp(0, 1)).abs().max().item<float>(), 0.0f)
      << "nothing to clamp: the test is vacuous";
  EXPECT_GE(pixels.min().item<float>(), 0.0f);
  EXPECT_LE(pixels.max().item<float>(), 1.0f);
}

// Bounds: docs/numerics.md, "VAE, streaming".
INSTANTIATE_TEST_SUITE_P(Cpu, Streaming,
                         ::testing::Values(StreamingCase{"wan", at::kCPU, at::kFloat, 1e-6},
                                           StreamingCase{"wan", at::kCPU, at::kBFloat16, 1e-6},
                                           StreamingCase{"wan22", at::kCPU, at::kFloat, 1e-6},
                                           StreamingCase{"taehv", at::kCPU, at::kFloat, 1e-6}));
// 19 million weights.
INSTANTIATE_TEST_SUITE_P(SlowCpu, Streaming,
                         ::testing::Values(StreamingCase{"taehv22_super", at::kCPU, at::kFloat, 1e-6}));
INSTANTIATE_TEST_SUITE_P(Cuda, Streaming,
                         ::testing::Values(StreamingCase{"wan", kGpu, at::kFloat, 1e-5},
                                           StreamingCase{"wan", kGpu, at::kBFloat16, 2e-2},
                                           StreamingCase{"published", kGpu, at::kBFloat16, 2e-2},
                                           StreamingCase{"wan22", kGpu, at::kFloat, 1e-5},
                                           StreamingCase{"taehv22_super", kGpu, at::kFloat, 1e-5},
                                           StreamingCase{"taehv", kGpu, at::kFloat, 1e-5}));

class StreamingEncoder : public ::testing::TestWithParam<const char*> {};

TEST_P(StreamingEncoder, EverySplitGivesTheSameLatents) {
  const auto encoder = load_latent_encoder(*weights_of(GetParam()), at::kCPU, at::kFloat);
  const at::Tensor pixels = formula_data("pixels", {21, 3, 32, 48}, 0.5) + 0.5;
  const at::Tensor whole = encoder->encode(pixels);
  const int64_t stride = encoder->pixel_stride();
  ASSERT_EQ(whole.sizes(), at::IntArrayRef({1, 6, encoder->latent_channels(), 32 / stride, 48 / stride}));
  for (const std::vector<int64_t>& calls : {std::vector<int64_t>{1, 20}, {5, 4, 12}, {9, 8, 4}}) {
    encoder->reset();
    std::vector<at::Tensor> latents;
    int64_t first = 0;
    for (const int64_t count : calls) {
      latents.push_back(encoder->encode(pixels.narrow(0, first, count)));
      first += count;
    }
    EXPECT_TENSORS_NEAR_IN_NORM(at::cat(latents, 1), whole, 1e-6) << "first call of " << calls[0];
  }
}

INSTANTIATE_TEST_SUITE_P(Cpu, StreamingEncoder, ::testing::Values("wan", "wan22"));

}  // namespace
}  // namespace flashblock::testing
