#include "render/cost_estimate.h"

#include <gtest/gtest.h>

#include "pipeline/render_line.h"

namespace flashblock {
namespace {

double seconds_on(int cores, const CostProbe& probe, at::Device device = at::kCPU) {
  const ThreadLimit all(cores);
  return overlapped_seconds(probe, device, device);
}

TEST(OverlappedSeconds, AreOfTheSlowestStageOrOfAllOnFewCores) {
  const CostProbe slow_decoder{.denoise_seconds = 1, .decode_seconds = 4, .decoder_parts = 2};
  EXPECT_EQ(seconds_on(1, slow_decoder), 5.0);
  EXPECT_EQ(seconds_on(2, slow_decoder), 2.5) << "three stages on two cores";
  EXPECT_EQ(seconds_on(3, slow_decoder), 2.0) << "half of the decoder";
  EXPECT_EQ(seconds_on(4, slow_decoder), 4.0) << "two threads to each of two stages";
  EXPECT_EQ(seconds_on(1, slow_decoder, at::kCUDA), 4.0);
  const CostProbe slow_denoiser{.denoise_seconds = 6, .decode_seconds = 4, .decoder_parts = 2};
  for (const int cores : {2, 3, 4}) EXPECT_EQ(seconds_on(cores, slow_denoiser), 6.0) << cores;
}

TEST(OverlappedSeconds, OfADecoderWithoutHalvesAreAllOfIt) {
  const CostProbe probe{.denoise_seconds = 1, .decode_seconds = 4, .decoder_parts = 1};
  EXPECT_EQ(seconds_on(1, probe), 5.0);
  for (const int cores : {2, 3, 4}) EXPECT_EQ(seconds_on(cores, probe), 4.0) << cores;
}

}  // namespace
}  // namespace flashblock
