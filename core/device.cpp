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
#include <sstream>

#include "core/error.h"

namespace flashblock {
namespace {

bool is_device_number(const std::string& digits) {
  return !digits.empty() && digits.size() <= 3 &&
         std::all_of(digits.begin(), digits.end(), [](unsigned char c) { return std::isdigit(c); });
}

// The number after "cuda:", or -1 if the text is not one.
int cuda_index(const std::string& name) {
  const std::string digits = name == "cuda" ? "0" : name.rfind("cuda:", 0) == 0 ? name.substr(5) : "";
  return is_device_number(digits) ? std::stoi(digits) : -1;
}

[[noreturn]] void refuse_unknown(const std::string& name) {
  throw ConfigError("device '" + name +
                    "' is unknown: wanted auto, cpu, cuda or cuda:N (N a device number), or several for one video: "
                    "cuda:0,1 or cpu:0,1");
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
  if (name.find(',') != std::string::npos && resolve_devices(name).size() > 1)
    throw ConfigError("device '" + name + "' names several devices, wanted one");
  const int index = cuda_index(name);
  if (index < 0) refuse_unknown(name);
  if (index < devices) return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(index));
  const std::string found = devices == 0 ? "no CUDA device was found (no GPU, no driver, or a build without CUDA)"
                                         : "this machine has " + std::to_string(devices) +
                                               " CUDA device(s), cuda:0 to cuda:" + std::to_string(devices - 1);
  throw DeviceError("device '" + name + "' is not available: " + found,
                    {.key = "device",
                     .remedies = {{"compute on the CPU", "device", "cpu"}, {"use what is there", "device", "auto"}}});
}

std::vector<at::Device> resolve_devices(const std::string& name, int64_t count) {
  if (name.find(',') == std::string::npos) {
    std::vector<at::Device> devices = {resolve_device(name)};
    while (std::ssize(devices) < count) {
      const bool cpu = devices.front().is_cpu();
      devices.push_back(cpu ? devices.front() : resolve_device("cuda:" + std::to_string(devices.back().index() + 1)));
    }
    return devices;
  }
  const std::string type = name.substr(0, name.find(':'));
  if (type.size() == name.size() || name.back() == ',' || (type != "cpu" && type != "cuda")) refuse_unknown(name);
  std::vector<std::string> numbers;
  std::istringstream list(name.substr(type.size() + 1));
  for (std::string number; std::getline(list, number, ',');) numbers.push_back(number);
  if (!std::all_of(numbers.begin(), numbers.end(), is_device_number)) refuse_unknown(name);
  std::vector<at::Device> devices;
  devices.reserve(numbers.size());
  for (const std::string& number : numbers) {
    devices.push_back(type == "cpu" ? at::Device(at::kCPU) : resolve_device("cuda:" + number));
  }
  if (count != 1 && count != std::ssize(devices))
    throw ConfigError("device '" + name + "' names " + std::to_string(devices.size()) + " devices, devices_per_video " +
                          std::to_string(count),
                      {.key = "devices_per_video"});
  return devices;
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
