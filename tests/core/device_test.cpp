#include "core/device.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "tests/support/error_text.h"

namespace flashblock::testing {
namespace {

using ::testing::HasSubstr;

TEST(Device, ReadsNamesAndRefusesOthers) {
  EXPECT_EQ(resolve_device("cpu"), at::Device(at::kCPU));
  EXPECT_TRUE(resolve_device("auto").is_cpu() || resolve_device("auto").is_cuda());
  for (const char* name : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:99999999999", "cpu:0", "CPU"})
    EXPECT_THAT(error_text<ConfigError>([&] { resolve_device(name); }), HasSubstr("wanted auto, cpu, cuda or cuda:N"));
  EXPECT_THAT(error_text<DeviceError>([&] { resolve_device("cuda:999"); }), HasSubstr("cuda:999"));
}

TEST(Device, ChoosesTheDtypeThatTheHardwareMultiplies) {
  EXPECT_EQ(resolve_dtype("float32", at::kCPU), at::kFloat);
  EXPECT_EQ(resolve_dtype("bfloat16", at::kCPU), at::kBFloat16);
  EXPECT_EQ(resolve_dtype("auto", at::Device(at::kCUDA, 0)), at::kBFloat16);
  EXPECT_EQ(resolve_dtype("auto", at::kCPU), processor_has_bfloat16() ? at::kBFloat16 : at::kFloat);
  EXPECT_THAT(error_text<ConfigError>([&] { resolve_dtype("float16", at::kCPU); }), HasSubstr("float16"));
}

TEST(Devices, SeveralComputeOneVideo) {
  using Devices = std::vector<at::Device>;
  EXPECT_EQ(resolve_devices("cpu"), Devices{at::kCPU});
  EXPECT_EQ(resolve_devices("cpu", 3), (Devices{at::kCPU, at::kCPU, at::kCPU}));
  EXPECT_EQ(resolve_devices("cpu:0,1"), (Devices{at::kCPU, at::kCPU}));
  EXPECT_EQ(resolve_devices("cpu:0,1", 2).size(), 2U);
  EXPECT_THROW(resolve_devices("cpu:0,1", 3), ConfigError);
  for (const char* name : {"cpu:0,", "cpu:,0", "cpu:0,x", "cpu,0", "gpu:0,1", "auto:0,1", "cuda:0,-1", ","})
    EXPECT_THROW(resolve_devices(name), ConfigError) << name;
  EXPECT_THROW(resolve_devices("cuda:0,999"), DeviceError);
  EXPECT_THROW(resolve_device("cpu:0,1"), ConfigError);
}

}  // namespace
}  // namespace flashblock::testing
