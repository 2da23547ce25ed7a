// The device and the dtype that a video is computed with.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string>
#include <vector>

namespace flashblock {

/// CUDA devices that this process sees; 0 in a build without CUDA.
int gpu_count();

/// The device that `name` stands for: "auto" (the first GPU, else the CPU), "cpu", "cuda" or "cuda:N".
/// Throws: ConfigError for any other name; DeviceError if that GPU does not exist or this build has no CUDA.
at::Device resolve_device(const std::string& name);

/// The devices that compute one video together, by one process each: "cuda:0,1", or "cpu:0,1" for two processes on the
/// processor, whose numbers only count them. A device may be named twice: two processes share it. Any other name is
/// that of resolve_device, and stands for `count` devices: GPUs from that one on, or processes on the processor.
/// Throws: as resolve_device; ConfigError for a list of another number of devices than `count`, unless that is 1.
std::vector<at::Device> resolve_devices(const std::string& name, int64_t count = 1);

/// The compute dtype that `name` stands for: "float32", "bfloat16" or "auto".
/// Auto is bfloat16 on CUDA and on processors that multiply bfloat16 in hardware (AMX-BF16 or AVX512-BF16), else
/// float32. AVX512-BF16 counts because it pays: on two cores of an AMD EPYC (Zen 4 class), LibTorch 2.11, float32
/// against bfloat16, a linear layer 1024 x 1024 x 1024 takes 37 against 6 ms, a causal 3-D convolution of 96 channels
/// 86 against 9 ms, a 2-D one 207 against 35 ms; attention and norms gain little or nothing.
/// `flashblock_core_benchmark` repeats the measurement.
/// Throws: ConfigError for any other name.
at::ScalarType resolve_dtype(const std::string& name, at::Device device);

/// The name of a dtype as users write it: float32, bfloat16, float16, float64; LibTorch's name for others.
std::string dtype_name(at::ScalarType dtype);

/// The properties of a device that a video's bits depend on: a GPU's name and compute capability, or the processor's
/// name and the vector instructions that LibTorch uses.
std::string describe_device(at::Device device);

/// Whether the processor multiplies bfloat16 in hardware.
bool processor_has_bfloat16();

}  // namespace flashblock
