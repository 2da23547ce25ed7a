// Smoothing of int8 linears: it moves powers of two and nothing else, and it helps where channels are far above others.
#include "models/linear_calibration.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "models/layers.h"
#include "models/video_transformer.h"
#include "tests/support/cuda.h"
#include "tests/support/error_text.h"
#include "tests/support/formula_checkpoint.h"
#include "tests/support/formula_weights.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensor_matchers.h"
#include "weights/tensor_file.h"

namespace flashblock {
namespace {

using testing::error_text;
using testing::formula_data;
using ::testing::HasSubstr;
using testing::relative_norm_error;

const TransformerConfig kConfig{
    .dim = 128, .heads = 2, .layers = 3, .ffn_dim = 192, .freq_dim = 64, .text_dim = 24, .text_len = 8};

at::Tensor exponents_of(const char* name, int64_t channels) {
  return at::round(formula_data(name, {channels}, 6)).to(at::kChar);
}

LayerSmoothing some_smoothing() {
  return {.self_qkv = exponents_of("qkv", kConfig.dim),
          .cross_q = exponents_of("q", kConfig.dim),
          .ffn_up = exponents_of("up", kConfig.dim),
          .ffn_down = exponents_of("down", kConfig.ffn_dim)};
}

Linear linear_of(const std::string& name, int64_t out, int64_t in, at::ScalarType dtype) {
  return {formula_data(name, {out, in}, 0.2).to(dtype), formula_data(name + ".bias", {out}, 0.3).to(dtype)};
}

LayerWeights some_layer(at::ScalarType dtype) {
  LayerWeights layer;
  layer.self_qkv = linear_of("qkv", 3 * kConfig.dim, kConfig.dim, dtype);
  layer.cross_q = linear_of("cross_q", kConfig.dim, kConfig.dim, dtype);
  layer.cross_norm = {formula_data("norm", {kConfig.dim}, 2).to(dtype),
                      formula_data("shift", {kConfig.dim}, 1).to(dtype)};
  layer.ffn_up = linear_of("up", kConfig.ffn_dim, kConfig.dim, dtype);
  layer.ffn_down = linear_of("down", kConfig.dim, kConfig.ffn_dim, dtype);
  return layer;
}

// In the dtype the products are the same, bit for bit: every factor is a power of two, on both sides.
TEST(LinearCalibration, SmoothingRoundsNothing) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const LayerWeights before = some_layer(dtype);
    LayerWeights after = some_layer(dtype);
    const LayerSmoothing smoothing = some_smoothing();
    smooth(after, smoothing);
    const auto [qkv, up] = modulation_factors(smoothing, kConfig.dim, before.self_qkv.weight.options());
    const at::Tensor x = formula_data("x", {1, 20, kConfig.dim}, 3).to(dtype);
    const at::Tensor shift = formula_data("s", {1, 1, kConfig.dim}, 1).to(dtype);
    const at::Tensor scale = formula_data("c", {1, 1, kConfig.dim}, 2).to(dtype);
    const auto normed = [&](const at::Tensor& factor) {
      return modulated_norm(x, shift * factor, scale * factor, 1e-6);
    };
    const at::Tensor one = at::ones({1}, x.options());
    EXPECT_FALSE(at::equal(after.self_qkv.weight, before.self_qkv.weight));
    EXPECT_TENSORS_IDENTICAL(linear(normed(qkv), after.self_qkv), linear(normed(one), before.self_qkv));
    EXPECT_TENSORS_IDENTICAL(linear(normed(up), after.ffn_up), linear(normed(one), before.ffn_up));
    const auto cross = [&](const LayerWeights& layer) {
      at::Tensor sum = x.clone();
      return linear(add_gated_affine_norm(sum, x * 0.5, scale, layer.cross_norm, 1e-6), layer.cross_q);
    };
    EXPECT_TENSORS_IDENTICAL(cross(after), cross(before));
    const at::Tensor hidden = formula_data("h", {20, kConfig.ffn_dim}, 3).to(dtype);
    EXPECT_TENSORS_IDENTICAL(linear(hidden * after.ffn_down.input_factors.to(dtype), after.ffn_down),
                             linear(hidden, before.ffn_down));
  }
}

// Number by number, in float64.
void expect_factors_before_rounding(at::Device device, double bound) {
  const at::Tensor x = formula_data("x", {40, 192}, 4).to(device, at::kBFloat16);
  const at::Tensor factors = at::exp2(at::round(formula_data("f", {192}, 5))).to(device);
  for (const bool gelu : {false, true}) {
    const LinearInput rows = quantise_rows(x, gelu ? BeforeQuantising::kGelu : BeforeQuantising::kNothing, factors);
    const at::Tensor wide = x.cpu().to(at::kDouble), by = factors.cpu().to(at::kDouble);
    const at::Tensor values = rows.values.cpu(), scales = rows.scales.cpu();
    for (int64_t r = 0; r < x.size(0); ++r) {
      std::vector<double> row;
      for (int64_t c = 0; c < x.size(1); ++c) {
        const double v = wide[r][c].item<double>();
        const double f = 0.5 * v * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
        row.push_back((gelu ? f : v) * by[c].item<double>());
      }
      double largest = 0;
      for (const double v : row) largest = std::max(largest, std::abs(v));
      ASSERT_NEAR(scales[r].item<double>(), largest / 127, largest / 127 * 2e-3);
      for (int64_t c = 0; c < x.size(1); ++c)
        ASSERT_NEAR(values[r][c].item<double>(), row[size_t(c)] * 127 / largest, bound) << r << ", " << c;
    }
  }
}

TEST(LinearCalibration, FactorsComeBeforeRounding) { expect_factors_before_rounding(at::kCPU, 0.51); }
TEST(LinearCalibrationCuda, FactorsComeBeforeRounding) {
  FLASHBLOCK_NEED_CUDA();
  expect_factors_before_rounding(testing::kGpu, 0.8);  // the hardware's tanh
}

TEST(InputSample, KeepsTheLargestOfAllRowsAndSomeOfThem) {
  InputSample sample;
  EXPECT_TRUE(sample.empty());
  at::Tensor x = at::zeros({1, 100, 4});
  x[0][57][2] = -9;
  x[0][99][0] = 3;
  sample.add(x);
  sample.add(at::ones({2, 4}).to(at::kFloat));
  EXPECT_TENSORS_IDENTICAL(sample.largest(), at::tensor({3.0, 1.0, 9.0, 1.0}).to(at::kFloat));
  EXPECT_EQ(sample.rows().size(0), 32 + 2);
  for (int i = 0; i < 100; ++i) sample.add(x);
  EXPECT_EQ(sample.rows().size(0), 512);
}

/// Normal numbers, some channels of which are `times` as large.
InputSample sample_with_outliers(int64_t channels, double times) {
  const at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(uint64_t{7});
  at::Tensor x = at::randn({512, channels}, generator);
  for (const int64_t channel : {int64_t{3}, channels / 2, channels - 5}) x.select(1, channel).mul_(times);
  InputSample sample;
  for (const at::Tensor& part : x.split(32)) sample.add(part);
  return sample;
}

TEST(LinearCalibration, ChoosesWhatLessensTheError) {
  const at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(uint64_t{8});
  const at::Tensor weight = at::randn({256, 1536}, generator) / std::sqrt(1536.0);
  for (const double times : {1.0, 10.0, 30.0, 100.0}) {
    const SmoothingChoice choice = choose_smoothing(weight, sample_with_outliers(1536, times));
    std::cout << "three channels " << times << " times as large: error " << choice.error_without << ", smoothed "
              << choice.error_with << "\n";
    EXPECT_LE(choice.error_with, choice.error_without);
    if (times == 1) {
      EXPECT_GT(choice.error_with, 0.8 * choice.error_without) << "there is nothing to win";
    } else if (times >= 30) {
      EXPECT_LT(choice.error_with, 0.6 * choice.error_without);
      ASSERT_TRUE(choice.exponents.defined());
    }
  }
}

TEST(LinearCalibration, ChannelsWithoutNumbersAreLeftAlone) {
  InputSample sample;
  at::Tensor x = formula_data("x", {64, 32}, 1);
  x.select(1, 4).zero_();
  x.select(1, 9).mul_(200);
  sample.add(x);
  at::Tensor weight = formula_data("w", {16, 32}, 1);
  weight.select(1, 6).zero_();
  const SmoothingChoice choice = choose_smoothing(weight, sample);
  ASSERT_TRUE(choice.exponents.defined());
  EXPECT_EQ(choice.exponents[4].item<int64_t>(), 0);
  EXPECT_EQ(choice.exponents[6].item<int64_t>(), 0);
  InputSample zeros;
  zeros.add(at::zeros({4, 32}));
  EXPECT_FALSE(choose_smoothing(weight, zeros).exponents.defined());
}

class CalibrationFile : public ::testing::Test {
 protected:
  LinearCalibration some_calibration() const {
    LinearCalibration calibration;
    calibration.layers.resize(3);
    calibration.layers[1] = some_smoothing();
    calibration.layers[2].cross_q = exponents_of("q2", kConfig.dim);
    return calibration;
  }
  std::string refusal(const std::string& model, const TransformerConfig& config) const {
    return error_text<ConfigError>([&] { read_calibration(file_, model, config); });
  }

  testing::TemporaryFolder folder_;
  std::filesystem::path file_ = folder_ / "mine.safetensors";
};

TEST_F(CalibrationFile, IsReadAsItWasWritten) {
  const LinearCalibration written = some_calibration();
  write_calibration(file_, written, "mine", "flashblock test");
  const LinearCalibration read = read_calibration(file_, "mine", kConfig);
  ASSERT_EQ(read.layers.size(), 3u);
  for (size_t i = 0; i < 3; ++i)
    for (const SmoothedLinear& of : kSmoothedLinears) {
      ASSERT_EQ((read.layers[i].*of.exponents).defined(), (written.layers[i].*of.exponents).defined()) << of.name;
      if ((read.layers[i].*of.exponents).defined()) {
        EXPECT_TENSORS_IDENTICAL(read.layers[i].*of.exponents, written.layers[i].*of.exponents);
      }
    }
  EXPECT_LT(std::filesystem::file_size(file_), 3000u);
}

TEST_F(CalibrationFile, IsRefusedForAnotherModel) {
  write_calibration(file_, some_calibration(), "mine", "flashblock test");
  EXPECT_THAT(refusal("yours", kConfig), HasSubstr("a calibration of the model mine, and this is yours"));
  TransformerConfig wider = kConfig;
  wider.dim = 256;
  EXPECT_THAT(refusal("mine", wider), HasSubstr("layers.1.self_qkv does not fit the model: wanted 256 numbers"));
  TransformerConfig shallow = kConfig;
  shallow.layers = 2;
  EXPECT_THAT(refusal("mine", shallow), HasSubstr("more than the layers of this model"));
  write_tensor_file(file_, {{"latents", at::zeros({2})}});
  EXPECT_THAT(refusal("mine", kConfig), HasSubstr("mine.safetensors: no calibration"));
  std::filesystem::remove(file_);
  EXPECT_THAT(refusal("mine", kConfig), HasSubstr("cannot read the calibration"));
}

/// Formula weights whose modulation makes some channels 40 times as large, and weights that count on it.
std::shared_ptr<const WeightStore> outlier_weights() {
  const nlohmann::json sizes{{"dim", kConfig.dim},
                             {"num_layers", kConfig.layers},
                             {"ffn_dim", kConfig.ffn_dim},
                             {"freq_dim", kConfig.freq_dim},
                             {"text_dim", kConfig.text_dim},
                             {"in_dim", kConfig.in_channels},
                             {"out_dim", kConfig.out_channels},
                             {"patch_size", {1, 2, 2}}};
  std::map<std::string, at::Tensor> tensors;
  for (auto& [name, tensor] : testing::formula_tensors(testing::transformer_shapes(sizes))) {
    const bool reads = name.ends_with("self_attn.q.weight") || name.ends_with("self_attn.k.weight") ||
                       name.ends_with("self_attn.v.weight") || name.ends_with("ffn.0.weight");
    for (const int64_t channel : {5, 77}) {
      if (name.starts_with("blocks.") && name.ends_with("modulation")) {
        for (const int64_t scale : {1, 4}) tensor.select(1, scale).select(1, channel).add_(40);
      }
      if (name.starts_with("blocks.") && reads) tensor.select(1, channel).div_(40);
    }
    tensors.emplace(name, tensor);
  }
  return WeightStore::from_tensors(std::move(tensors));
}

/// Flows of two frame blocks.
std::vector<at::Tensor> flows(const WeightStore& weights, const LinearOptions& linears, at::Device device,
                              at::ScalarType dtype, LayerPlacement placement = LayerPlacement::kResident) {
  const auto shared = std::shared_ptr<const WeightStore>(&weights, [](const WeightStore*) {});
  const auto model = placement == LayerPlacement::kResident
                         ? VideoTransformer::load(weights, kConfig, device, dtype, linears)
                         : VideoTransformer::stream(shared, kConfig, device, dtype, linears);
  TransformerState state(kConfig, {.geometry = {.width = 64, .height = 48}, .max_frames = 6}, device, dtype);
  model->set_prompt(state, formula_data("text", {1, 6, 24}, 1));
  std::vector<at::Tensor> result;
  for (const int64_t start : {0, 3}) {
    const at::Tensor latents = formula_data("x" + std::to_string(start), {1, 3, 16, 6, 8}, 1.7).to(device);
    result.push_back(model->forward(latents, 937.5, start, Pass::denoise(0), state).cpu().to(at::kFloat));
    model->forward(latents, 0, start, Pass::clean(), state);
  }
  return result;
}

void expect_smaller_error(at::Device device, at::ScalarType dtype) {
  const auto weights = outlier_weights();
  const auto expected = flows(*weights, {}, at::kCPU, at::kFloat);
  LinearOptions sampling;
  sampling.samples = std::make_shared<CalibrationSamples>();
  flows(*weights, sampling, at::kCPU, at::kFloat);
  const auto calibration = std::make_shared<LinearCalibration>();
  calibration->layers.resize(size_t(kConfig.layers));
  for (int64_t i = 0; i < kConfig.layers; ++i) {
    const LayerWeights layer = load_layer(*weights, kConfig, i, at::kCPU, at::kFloat, LinearPrecision::kNative);
    for (const SmoothedLinear& of : kSmoothedLinears)
      calibration->layers[size_t(i)].*of.exponents =
          choose_smoothing((layer.*of.weights).weight, *(sampling.samples->layers.at(size_t(i)).*of.sample)).exponents;
  }
  const LinearOptions smoothed(LinearPrecision::kInt8, calibration);
  const auto plain = flows(*weights, LinearPrecision::kInt8, device, dtype);
  const auto actual = flows(*weights, smoothed, device, dtype);
  const auto streamed = flows(*weights, smoothed, device, dtype, LayerPlacement::kStreamed);
  for (size_t i = 0; i < expected.size(); ++i) {
    const double before = relative_norm_error(plain[i], expected[i]);
    const double after = relative_norm_error(actual[i], expected[i]);
    std::cout << "two channels 40 times as large, flow " << i << ": " << before << ", calibrated " << after << "\n";
    EXPECT_LT(after, 0.7 * before);
    EXPECT_TENSORS_IDENTICAL(streamed[i], actual[i]);
  }
  // Linears in the dtype do not need it.
  const auto native = flows(*weights, LinearOptions(LinearPrecision::kNative, calibration), at::kCPU, at::kFloat);
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_TENSORS_IDENTICAL(native[i], expected[i]);
}

TEST(LinearCalibration, LessensTheErrorOfATransformer) { expect_smaller_error(at::kCPU, at::kFloat); }
TEST(LinearCalibrationCuda, LessensTheErrorOfATransformer) {
  FLASHBLOCK_NEED_CUDA();
  expect_smaller_error(testing::kGpu, at::kBFloat16);
}

}  // namespace
}  // namespace flashblock
