#include "core/memory_meter.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

namespace flashblock {
namespace {

constexpr int64_t kMegabyte = 1 << 20;

at::Tensor megabytes(int64_t count) { return at::zeros({count * kMegabyte}, at::kByte); }

TEST(MemoryMeter, CountsWhatIsHeldAndTheMostThereWas) {
  at::Tensor before = megabytes(1);
  MemoryMeter meter(at::kCPU);
  at::Tensor kept = megabytes(3);
  { const at::Tensor passing = megabytes(4); }
  EXPECT_EQ(meter.held(), 3 * kMegabyte);
  EXPECT_EQ(meter.peak(), 7 * kMegabyte);
  meter.reset_peak();
  EXPECT_EQ(meter.peak(), 3 * kMegabyte);
  EXPECT_EQ(kept.narrow(0, 0, 10).numel(), 10);
  EXPECT_EQ(meter.peak(), 3 * kMegabyte) << "a view takes nothing";
  before.reset();
  EXPECT_EQ(meter.held(), 3 * kMegabyte) << "what was there before does not count";
  kept.reset();
  EXPECT_EQ(meter.held(), 0);
}

TEST(MemoryMeter, TellsSmallFromLarge) {
  MemoryMeter meter(at::kCPU, 3 * kMegabyte);
  const at::Tensor small = megabytes(2), large = megabytes(3);
  { const at::Tensor passing = megabytes(1); }
  EXPECT_EQ(meter.peak(), 6 * kMegabyte);
  EXPECT_EQ(meter.peak_of_small(), 3 * kMegabyte);
}

TEST(MemoryMeter, SeesNothingOnceItIsGone) {
  { const MemoryMeter meter(at::kCPU); }
  const MemoryMeter meter(at::kCPU);
  EXPECT_EQ(meter.held(), 0);
}

TEST(ProcessMemory, GrowsWithWhatIsTouched) {
  const int64_t before = memory_bytes();
  const at::Tensor touched = at::ones({64 * kMegabyte}, at::kByte);
  EXPECT_GE(memory_bytes(), before + 60 * kMegabyte);
  EXPECT_GE(peak_memory_bytes(), memory_bytes());
  EXPECT_EQ(peak_device_memory_bytes(at::kCPU), 0);
}

}  // namespace
}  // namespace flashblock
