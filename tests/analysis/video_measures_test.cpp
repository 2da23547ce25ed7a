// Measures against values worked out by hand.
#include "analysis/video_measures.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/fidelity.h"

namespace flashblock {
namespace {

at::Tensor flat(int64_t frames, int level) { return at::full({frames, 4, 6, 3}, level, at::kByte); }

RenderedBlock block(int64_t index, const at::Tensor& rgb, double latent = 0) {
  at::Tensor latents = at::full({1, 1, 2, 4, 4}, latent);
  latents[0][0][0][0][0] = latent + 1;  // so that they have a range
  return {.index = index, .latents = latents, .rgb = rgb};
}

TEST(FrameStatisticsTest, OfStripes) {
  // Columns of black and of red: gray is 0 and 1/3, saturation 0 and 1.
  at::Tensor stripes = at::zeros({1, 4, 6, 3}, at::kByte);
  for (const int64_t column : {1, 3, 5}) stripes.select(2, column).select(2, 0).fill_(255);
  const FrameStatistics statistics = frame_statistics(stripes);
  EXPECT_NEAR(statistics.brightness, 1.0 / 6, 1e-6);
  EXPECT_NEAR(statistics.contrast, 1.0 / 6, 1e-6);
  EXPECT_NEAR(statistics.saturation, 0.5, 1e-6);
  EXPECT_NEAR(statistics.sharpness, 1.0 / 3, 1e-6) << "between columns; rows are equal";
}

TEST(PsnrTest, OfKnownErrors) {
  EXPECT_NEAR(psnr(std::pow(10.0 / 255, 2), 1), 28.1308, 1e-4) << "ten of 255 levels everywhere";
  EXPECT_NEAR(psnr(4, 20), 20, 1e-9);
  EXPECT_TRUE(std::isinf(psnr(0, 1)));
  EXPECT_TRUE(std::isnan(psnr(kNotMeasured, 1)));
}

TEST(VideoMeterTest, MotionIsMeasuredAcrossBorders) {
  VideoMeter meter({.frames = 6});
  // Gray levels 0, 10, 20 | 60, 70, 70 of 255.
  at::Tensor first = flat(3, 0), second = flat(3, 70);
  first[1].fill_(10);
  first[2].fill_(20);
  second[0].fill_(60);
  meter.write(block(0, first));
  meter.write(block(1, second));
  ASSERT_EQ(meter.blocks().size(), 2u);
  const BlockMeasures a = meter.blocks()[0], b = meter.blocks()[1];
  EXPECT_TRUE(std::isnan(a.change_at_border));
  EXPECT_NEAR(a.change_within * 255, 10, 1e-4);
  EXPECT_NEAR(a.flicker * 255, 0, 1e-4) << "steady";
  EXPECT_NEAR(b.change_at_border * 255, 40, 1e-4);
  EXPECT_NEAR(b.change_within * 255, 5, 1e-4);
  EXPECT_NEAR(b.flicker * 255, (30 + 30 + 10) / 3.0 / 2, 1e-4) << "changes 10, 40, 10, 0";
  EXPECT_EQ(b.first_frame, 3);
  EXPECT_TRUE(std::isnan(b.frame_error)) << "there is no reference";
  // Border: 40. Inside: 10 and 5 in blocks of three frames.
  EXPECT_NEAR(summarize(meter.blocks(), 1, 16).border_jump, 40 / 7.5, 1e-3);
}

TEST(VideoMeterTest, OneFrameABlockAndAShortVideo) {
  VideoMeter meter({.frames = 2});
  meter.write(block(-1, flat(9, 0)));  // a given start does not count
  meter.write(block(0, flat(1, 10)));
  meter.write(block(1, flat(1, 20)));
  meter.write(block(2, flat(1, 30)));  // beyond the end
  ASSERT_EQ(meter.blocks().size(), 2u);
  EXPECT_TRUE(std::isnan(meter.blocks()[0].flicker));
  EXPECT_TRUE(std::isnan(meter.blocks()[1].change_within));
  EXPECT_NEAR(meter.blocks()[1].change_at_border * 255, 10, 1e-4);
  const VideoSummary summary = summarize(meter.blocks(), 1, 16);
  EXPECT_NEAR(summary.drift.brightness, 1, 1e-6) << "twice as bright";
  EXPECT_TRUE(std::isnan(summary.border_jump));
  EXPECT_TRUE(std::isnan(summary.drift.contrast)) << "nothing divided by nothing";
}

TEST(VideoMeterTest, ComparesWithTheReference) {
  ReferenceVideo reference;
  VideoMeter exact({.frames = 24, .keep = &reference});
  VideoMeter other({.frames = 24, .reference = &reference});
  for (int64_t i = 0; i < 2; ++i) exact.write(block(i, flat(12, 100), 0.5));
  other.write(block(0, flat(12, 100), 0.5));
  other.write(block(1, flat(12, 110), 0.6));
  EXPECT_NEAR(reference.latent_range(), 1, 1e-6);
  const BlockMeasures equal = other.blocks()[0], near = other.blocks()[1];
  EXPECT_EQ(equal.latent_error + equal.frame_error, 0);
  EXPECT_NEAR(equal.frame_ssim, 1, 1e-6);
  EXPECT_NEAR(near.latent_error, 0.01, 1e-6);
  EXPECT_NEAR(near.frame_error, std::pow(10.0 / 255, 2), 1e-8);
  const double luminance = (2 * 100 * 110 / 65025.0 + 1e-4) / ((100 * 100 + 110 * 110) / 65025.0 + 1e-4);
  EXPECT_NEAR(near.frame_ssim, luminance, 1e-5);
  const VideoSummary summary = summarize(other.blocks(), reference.latent_range(), 16);
  EXPECT_NEAR(summary.frame_psnr, 28.1308 + 10 * std::log10(2), 1e-3) << "half of the video is equal";
  EXPECT_NEAR(summary.latent_psnr, 20 + 10 * std::log10(2), 1e-3);
  EXPECT_NEAR(summary.drift.brightness, 0.1, 1e-6);
}

TEST(VideoMeterTest, EarlyErrorsAreThoseOfFiveSeconds) {
  std::vector<BlockMeasures> blocks;
  for (int64_t i = 0; i < 10; ++i) {
    blocks.push_back({.first_frame = 16 * i, .frames = 16, .frame_error = i < 5 ? 1e-4 : 1e-2});
  }
  const VideoSummary summary = summarize(blocks, 1, 16);
  EXPECT_NEAR(summary.early_frame_psnr, 40, 1e-9);
  EXPECT_NEAR(summary.frame_psnr, 10 * std::log10(1 / 5.05e-3), 1e-9);
}

TEST(VideoMeterTest, ComparesTheFirstFramesWithTheLast) {
  // HeliosBench: the first and the last int(0.15 * 23) = 3 frames; blocks of 9, 12 and 2 do not matter.
  VideoMeter meter({.frames = 23});
  int64_t index = 0, first = 0;
  for (const int64_t count : {9, 12, 2}) {
    at::Tensor rgb = flat(count, 0);
    for (int64_t t = 0; t < count; ++t) rgb[t].fill_(first + t < 3 ? 10 * (first + t) : first + t < 20 ? 250 : 70);
    meter.write(block(index++, rgb));
    first += count;
  }
  ASSERT_EQ(meter.frame_statistics().size(), 23u);
  EXPECT_NEAR(meter.frame_statistics()[2].brightness * 255, 20, 1e-4);
  EXPECT_NEAR(meter.blocks()[0].statistics.brightness * 255, (0 + 10 + 20 + 6 * 250) / 9.0, 1e-4);
  const FrameStatistics difference = start_end_difference(meter.frame_statistics());
  EXPECT_NEAR(difference.brightness * 255, 60, 1e-4);
  EXPECT_NEAR(difference.contrast, 0, 1e-6);
  EXPECT_NEAR(start_end_difference({{.brightness = 0.7}, {.brightness = 0.2}}).brightness, 0.5, 1e-12)
      << "of a short video one frame at either end";
}

TEST(VideoMeterTest, MeasuresMotionIfAsked) {
  const at::Tensor rgb = at::zeros({3, 32, 64, 3}, at::kByte);
  for (int64_t t = 0; t < 3; ++t) rgb[t].slice(1, 20 + t, 40 + t).fill_(255);  // a bar that moves to the right
  VideoMeter still({.frames = 3}), moving({.frames = 3, .motion = true});
  MotionAmplitude alone;
  alone.add(rgb);
  still.write(block(0, rgb));
  moving.write(block(0, rgb.narrow(0, 0, 2)));
  moving.write(block(1, rgb.narrow(0, 2, 1)));
  EXPECT_TRUE(std::isnan(still.motion_amplitude()));
  EXPECT_GT(alone.value(), 0);
  EXPECT_DOUBLE_EQ(moving.motion_amplitude(), alone.value());
}

TEST(FidelityRunsTest, ExactFirstThenPoliciesThenFloorAndCeiling) {
  const auto runs = fidelity_runs({{.name = "mine", .attention = {.refresh = "first_pass"}}}, 7, 8);
  ASSERT_EQ(runs.size(), 4u);
  EXPECT_EQ(runs[0].attention.mode, AttentionConfig::Mode::kExact);
  EXPECT_EQ(runs[1].attention.refresh, "first_pass");
  EXPECT_EQ(runs[1].seed, 7u);
  EXPECT_EQ(runs[2].attention.refresh, "every_pass");
  EXPECT_EQ(runs[3].seed, 8u);
}

}  // namespace
}  // namespace flashblock
