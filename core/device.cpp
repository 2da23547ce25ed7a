#include "core/device.h"

#include <ATen/Version.h>
#include <ATen/cpu/Utils.h>
#include <ATen/detail/CUDAHooksInterface.h>

#ifdef FLASHBLOCK_CUDA
#include <ATen/cuda/CUDAContextLight.h>
#endif

#include <algorithm>
#include <cctype>
#include <fstream>

#include "core/error.h"

namespace flashblock {
namespace {

// The number after "cuda:", or -1 if the text is not one.
int cuda_index(const std::string& name) {
  const std::string digits = name == "cuda" ? "0" : name.rfind("cuda:", 0) == 0 ? name.substr(5) : "";
  const bool number = !digits.empty() && digits.size() <= 3 &&
                      std::all_of(digits.begin(), digits.end(), [](unsigned char c) { return std::isdigit(c); });
  return number ? std::stoi(digits) : -1;
}

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const auto colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "processor of no name";
}

}  // namespace

int gpu_count() {
  const auto& hooks = at::detail::getCUDAHooks();
  return hooks.hasCUDA() ? static_cast<int>(hooks.deviceCount()) : 0;
}

at::Device resolve_device(const std::string& name) {
  if (name == "cpu") return at::kCPU;
  const int devices = gpu_count();
  if (name == "auto") return devices > 0 ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
  const int index = cuda_index(name);
  if (index < 0)
    throw ConfigError("device '" + name + "' is unknown: wanted auto, cpu, cuda or cuda:N (N a device number)");
  if (index < devices) return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(index));
  const std::string found = devices == 0 ? "no CUDA device was found (no GPU, no driver, or a build without CUDA)"
                                         : "this machine has " + std::to_string(devices) +
                                               " CUDA device(s), cuda:0 to cuda:" + std::to_string(devices - 1);
  throw DeviceError(
      "device '" + name + "' is not available: " + found,
      {.key = "device", .remedies = {{"render on the CPU", "device", "cpu"}, {"use what is there", "device", "auto"}}});
}

at::ScalarType resolve_dtype(const std::string& name, at::Device device) {
  if (name == "float32") return at::kFloat;
  if (name == "bfloat16") return at::kBFloat16;
  if (name != "auto") throw ConfigError("dtype '" + name + "' is unknown: wanted auto, float32 or bfloat16");
  return device.is_cuda() || processor_has_bfloat16() ? at::kBFloat16 : at::kFloat;
}

std::string describe_device(at::Device device) {
#ifdef FLASHBLOCK_CUDA
  if (device.is_cuda()) {
    const cudaDeviceProp& gpu = *at::cuda::getDeviceProperties(device.index());
    return std::string(gpu.name) + " (" + std::to_string(gpu.major) + "." + std::to_string(gpu.minor) + ")";
  }
#endif
  if (!device.is_cpu()) return device.str();
  return processor_name() + " (" + at::get_cpu_capability() + ")";
}

bool processor_has_bfloat16() {
  static const bool has = [] {
    const auto capabilities = at::cpu::get_cpu_capabilities();
    const auto set = [&](const char* name) {
      const auto found = capabilities.find(name);
      return found != capabilities.end() && found->second.isBool() && found->second.toBool();
    };
    return set("avx512_bf16") || set("amx_bf16");
  }();
  return has;
}

std::string dtype_name(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat:
      return "float32";
    case at::kBFloat16:
      return "bfloat16";
    case at::kHalf:
      return "float16";
    case at::kDouble:
      return "float64";
    default:
      return c10::toString(dtype);
  }
}

}  // namespace flashblock
