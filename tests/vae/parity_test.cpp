// The coders against the published Python code, on formula weights.
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/formula_checkpoint.h"
#include "tests/support/tensor_matchers.h"
#include "tests/vae/device_cases.h"
#include "vae/latent_decoder.h"
#include "vae/latent_encoder.h"

namespace flashblock::testing {
namespace {

/// The tensors of the VAE that a parity file was computed with.
std::vector<NamedShape> wan_shapes(const nlohmann::json& config) {
  if (config.value("out_channels", 3) == 12) return upscale_vae_shapes(config["dim"]);
  return config["z_dim"] == 48 ? wan22_vae_shapes(config["dim"], config["dec_dim"]) : vae_shapes(config["dim"]);
}

/// Its encoder or decoder.
std::shared_ptr<const WeightStore> wan_weights(const std::string& data, const std::string& half) {
  const std::string latent_conv = half == "decoder." ? "conv2." : "conv1.";
  std::vector<NamedShape> shapes;
  for (const NamedShape& shape : wan_shapes(parity_config(*parity_data(data))))
    if (shape.first.starts_with(half) || shape.first.starts_with(latent_conv)) shapes.push_back(shape);
  return formula_store(shapes);
}

/// [B, C, F, H, W] to [B, F, C, H, W], and back.
at::Tensor swap_time_and_channels(const at::Tensor& tensor) { return tensor.transpose(1, 2).contiguous(); }

/// Pixels [T, 3, H, W] in [0, 1] to the network's [1, 3, T, H, W] in [-1, 1].
at::Tensor network_range(const at::Tensor& pixels) {
  return swap_time_and_channels((pixels.cpu() * 2 - 1).unsqueeze(0));
}

class Parity : public ::testing::TestWithParam<DeviceCase> {
 protected:
  void SetUp() override { FB_SKIP_WITHOUT_GPU(GetParam().device); }

  void decodes_wan(const std::string& name) {
    const auto data = parity_data(name);
    const auto decoder = load_latent_decoder(*wan_weights(name, "decoder."), GetParam().device, GetParam().dtype);
    const at::Tensor expected = data->tensor("pixels");  // perhaps of the first latents only
    const at::Tensor latents = swap_time_and_channels(data->tensor("z")).narrow(1, 0, 1 + (expected.size(2) - 1) / 4);
    EXPECT_TENSORS_NEAR_IN_NORM(network_range(decoder->decode_unclamped(latents)), expected, GetParam().bound);
    EXPECT_EQ(decoder->pixel_stride(), expected.size(3) / latents.size(3));
  }

  void encodes_wan(const std::string& name) {
    const auto data = parity_data(name);
    const auto encoder = load_latent_encoder(*wan_weights(name, "encoder."), GetParam().device, GetParam().dtype);
    const at::Tensor pixels = swap_time_and_channels(data->tensor("x"))[0] * 0.5 + 0.5;
    const at::Tensor latents = encoder->encode(pixels);
    EXPECT_TENSORS_NEAR_IN_NORM(swap_time_and_channels(latents.cpu()), data->tensor("latent"), GetParam().bound);
  }
};

TEST_P(Parity, NarrowWanDecoder) { decodes_wan("vae_small"); }
TEST_P(Parity, NarrowWanEncoder) { encodes_wan("vae_small"); }

/// At the published widths.
using PublishedParity = Parity;
TEST_P(PublishedParity, WanDecoder) { decodes_wan("vae_full"); }
TEST_P(PublishedParity, WanEncoder) { encodes_wan("vae_full"); }

TEST_P(Parity, NarrowWan22Decoder) { decodes_wan("wan22_vae_small"); }
TEST_P(Parity, NarrowWan22Encoder) { encodes_wan("wan22_vae_small"); }
TEST_P(Parity, NarrowDecoderOfTwiceTheSize) { decodes_wan("upscale2x_small"); }
TEST_P(PublishedParity, DecoderOfTwiceTheSize) { decodes_wan("upscale2x_full"); }

TEST_P(PublishedParity, Taehv22Decoders) {
  for (const auto& [name, shapes] :
       {std::pair{"taehv22_small", taehv22_shapes()}, {"taehv22_super", taehv22_super_shapes()}}) {
    const auto data = parity_data(name);
    const auto decoder = load_latent_decoder(*formula_store(shapes), GetParam().device, GetParam().dtype);
    const at::Tensor pixels = decoder->decode_unclamped(data->tensor("z").narrow(1, 0, 2));
    EXPECT_TENSORS_NEAR_IN_NORM(pixels.cpu(), data->tensor("frames")[0], GetParam().bound) << name;
    EXPECT_EQ(decoder->pixel_stride(), 16);
  }
}

/// At the published widths of Wan2.2: 705 million weights.
using Wan22Parity = Parity;
TEST_P(Wan22Parity, Decoder) { decodes_wan("wan22_vae_full"); }
TEST_P(Wan22Parity, Encoder) { encodes_wan("wan22_vae_full"); }

TEST_P(Parity, TaehvDecoder) {
  const auto data = parity_data("taehv_small");
  const auto decoder = load_latent_decoder(*formula_store(taehv_shapes()), GetParam().device, GetParam().dtype);
  const at::Tensor pixels = decoder->decode_unclamped(data->tensor("z"));
  const at::Tensor expected = data->tensor("frames")[0];
  EXPECT_TENSORS_NEAR_IN_NORM(pixels.cpu(), expected.narrow(0, 3, expected.size(0) - 3), GetParam().bound);
}

// Bounds: docs/numerics.md, "VAE".
const DeviceCase kCpu{at::kCPU, at::kFloat, 1e-5};
const DeviceCase kCpuBfloat16{at::kCPU, at::kBFloat16, 3e-2};
const DeviceCase kCuda{kGpu, at::kFloat, 1e-5};
const DeviceCase kCudaBfloat16{kGpu, at::kBFloat16, 3e-2};
INSTANTIATE_TEST_SUITE_P(Cpu, Parity, ::testing::Values(kCpu, kCpuBfloat16));
INSTANTIATE_TEST_SUITE_P(Cuda, Parity, ::testing::Values(kCuda, kCudaBfloat16));
INSTANTIATE_TEST_SUITE_P(Cpu, PublishedParity, ::testing::Values(kCpu));
INSTANTIATE_TEST_SUITE_P(Cuda, PublishedParity, ::testing::Values(kCuda, kCudaBfloat16));
// A CPU without AVX-512 has no fast bfloat16 convolution: ten minutes and more.
INSTANTIATE_TEST_SUITE_P(SlowCpuBfloat16, PublishedParity, ::testing::Values(kCpuBfloat16));
INSTANTIATE_TEST_SUITE_P(SlowCpu, Wan22Parity, ::testing::Values(kCpu));
INSTANTIATE_TEST_SUITE_P(SlowCuda, Wan22Parity, ::testing::Values(kCuda, kCudaBfloat16));

}  // namespace
}  // namespace flashblock::testing
