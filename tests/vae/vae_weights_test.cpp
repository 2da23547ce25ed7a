// Which files the loaders accept, and how they reject others.
#include "vae/vae_weights.h"

#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "core/error.h"
#include "tests/support/formula_checkpoint.h"
#include "tests/vae/decoder_shapes.h"
#include "vae/latent_decoder.h"
#include "vae/latent_encoder.h"

namespace flashblock::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Tensors = std::map<std::string, at::Tensor>;

Tensors tensors_of(const std::vector<NamedShape>& shapes) {
  Tensors tensors;
  for (auto& [name, tensor] : formula_tensors(shapes)) tensors.emplace(name, tensor);
  return tensors;
}

std::string refusal(const Tensors& tensors) {
  try {
    load_latent_decoder(*WeightStore::from_tensors(tensors, "some.pth"), at::kCPU, at::kFloat);
  } catch (const WeightsError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(VaeWeights, WidthsAndDepthsComeFromTheTensors) {
  const auto decoder = load_latent_decoder(*WeightStore::from_tensors(tensors_of(decoder_shapes({32, 24, 16, 16}, 1))),
                                           at::kCPU, at::kFloat);
  EXPECT_EQ(decoder->decode(at::zeros({1, 2, 16, 2, 3})).sizes(), at::IntArrayRef({5, 3, 16, 24}));
  EXPECT_EQ(decoder->latent_channels(), 16);
}

// Positions of each module's output for a latent position, by hand: time doubles in two upsamplers, space in three.
// Their 3x3 convolutions at twice the size are computed as 2x2 convolutions of four phases.
TEST(VaeWeights, OperationsOfADecoder) {
  const std::map<std::string, double> stage_outputs = {{"0", 1},  {"1", 8 * 4.0 / 9},   {"2", 8},  {"3", 64 * 4.0 / 9},
                                                       {"4", 64}, {"5", 256 * 4.0 / 9}, {"6", 256}};
  const Tensors tensors = tensors_of(decoder_shapes({32, 24, 16, 16}, 1));
  double all = 0, after_norms = 0;
  for (const auto& [name, tensor] : tensors) {
    if (!name.ends_with(".weight")) continue;
    double outputs = name.starts_with("decoder.head") ? 256 : 1;
    const std::string list = "decoder.upsamples.";
    if (name.starts_with(list)) outputs = stage_outputs.at(name.substr(list.size(), 1));
    if (name.ends_with("1.time_conv.weight")) outputs = 1;
    if (name.ends_with("3.time_conv.weight")) outputs = 8;
    const double operations = 2 * outputs * static_cast<double>(tensor.numel());
    all += operations;
    if (name.find(".residual.") != std::string::npos) after_norms += operations;
  }
  const auto counted = [&](DecoderPrecision precision) {
    return load_latent_decoder(*WeightStore::from_tensors(tensors), at::kCPU, at::kFloat, precision)
        ->operations_per_latent();
  };
  EXPECT_DOUBLE_EQ(counted(DecoderPrecision::kNative).native, all);
  EXPECT_EQ(counted(DecoderPrecision::kNative).eight_bits, 0);
  EXPECT_DOUBLE_EQ(counted(DecoderPrecision::kInt8).eight_bits, after_norms);
  EXPECT_DOUBLE_EQ(counted(DecoderPrecision::kInt8).native, all - after_norms);
}

TEST(VaeWeights, ADecoderAloneIsEnough) {
  Tensors tensors = tensors_of(vae_shapes(8));
  for (auto it = tensors.begin(); it != tensors.end();)
    it = it->first.starts_with("encoder.") || it->first.starts_with("conv1.") ? tensors.erase(it) : std::next(it);
  EXPECT_EQ(refusal(tensors), "accepted");
  EXPECT_THROW(load_latent_encoder(*WeightStore::from_tensors(tensors), at::kCPU, at::kFloat), WeightsError);
}

TEST(VaeWeights, MissingAndMisshapenTensorsAreListedTogether) {
  Tensors tensors = tensors_of(vae_shapes(8));
  tensors.erase("decoder.upsamples.4.residual.6.bias");
  tensors["decoder.middle.1.proj.weight"] = at::zeros({3, 3, 1, 1});
  tensors["decoder.surprise"] = at::zeros({1});
  EXPECT_THAT(refusal(tensors), AllOf(HasSubstr("some.pth"), HasSubstr("decoder.upsamples.4.residual.6.bias"),
                                      HasSubstr("decoder.middle.1.proj.weight"), HasSubstr("decoder.surprise")));
}

TEST(VaeWeights, AnotherKindOfFileIsNamed) {
  EXPECT_THAT(refusal({{"blocks.0.modulation", at::zeros({1})}}),
              AllOf(HasSubstr("some.pth"), HasSubstr("decoder.conv1.weight")));
  EXPECT_THAT(refusal({{"decoder.conv1.weight", at::zeros({3})}}), HasSubstr("rank 1"));
}

TEST(VaeWeights, OtherStridesAreRefused) {
  Tensors tensors = tensors_of(decoder_shapes({32, 24, 16, 16}, 1));
  tensors.erase("decoder.upsamples.1.time_conv.weight");
  tensors.erase("decoder.upsamples.1.time_conv.bias");
  EXPECT_THAT(refusal(tensors), HasSubstr("strides of 8 in space and 2 in time"));
}

TEST(VaeWeights, OtherLatentChannelsAreRefused) {
  Tensors tensors = tensors_of(decoder_shapes({32, 24, 16, 16}, 1));
  tensors["decoder.conv1.weight"] = at::zeros({32, 20, 3, 3, 3});
  EXPECT_THAT(refusal(tensors), AllOf(HasSubstr("20 latent channels"), HasSubstr("16"), HasSubstr("48")));
  tensors["decoder.conv1.weight"] = at::zeros({32, 48, 3, 3, 3});
  EXPECT_THAT(refusal(tensors), HasSubstr("3 channels of pixels"));
}

TEST(VaeWeights, Wan22MissingTensorsAreListed) {
  Tensors tensors = tensors_of(wan22_vae_shapes(4, 4));
  EXPECT_EQ(refusal(tensors), "accepted");
  tensors.erase("decoder.upsamples.1.upsamples.3.time_conv.bias");
  EXPECT_THAT(refusal(tensors), HasSubstr("decoder.upsamples.1.upsamples.3.time_conv.bias"));
  tensors.erase("decoder.upsamples.1.upsamples.3.time_conv.weight");
  EXPECT_THAT(refusal(tensors), HasSubstr("strides of 8 in space and 2 in time"));
}

TEST(VaeWeights, TaehvWithoutOneGrowIsRefused) {
  Tensors tensors = tensors_of(taehv_shapes());
  EXPECT_EQ(refusal(tensors), "accepted");
  tensors.erase("decoder.15.conv.0.weight");
  EXPECT_NE(refusal(tensors), "accepted");
}

}  // namespace
}  // namespace flashblock::testing
