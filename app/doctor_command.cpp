#include "app/doctor_command.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "app/build_info.h"
#include "attention/attention_kernel.h"
#include "core/device.h"
#include "core/error.h"
#include "core/file_cache.h"
#include "core/html_page.h"
#include "core/memory_meter.h"
#include "models/planned_product.h"
#include "settings/model_file.h"
#ifdef FLASHBLOCK_CUDA
#include "vae/bordered_convolution_cuda.h"
#endif

namespace flashblock {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// Head width of the Wan2.1 models.
constexpr int64_t kHeadWidth = 128;
/// Less than this is not enough for the included model and its video.
constexpr int64_t kLeastMemory = 1'000'000'000, kLeastDisk = 100'000'000;

void add_problem(Json& found, ExitStatus status, const std::string& text) {
  found["problems"].push_back({{"status", static_cast<int>(status)}, {"text", text}});
}

/// Where a library of this process was loaded from, by one of its functions or variables.
std::string library_of(const void* symbol) {
  Dl_info info{};
  return dladdr(symbol, &info) != 0 && info.dli_fname ? fs::path(info.dli_fname).lexically_normal().string() : "";
}

/// Why there is no GPU.
std::string gpu_absence() {
#ifdef FLASHBLOCK_CUDA
  void* const driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (!driver) return "no NVIDIA driver (libcuda.so.1)";
  dlclose(driver);
  return "the driver shows no GPU";
#else
  return "a build without CUDA";
#endif
}

Json gpus() {
  Json list = Json::array();
  for (int index = 0; index < gpu_count(); ++index) {
    const at::Device device(at::kCUDA, static_cast<at::DeviceIndex>(index));
    Json gpu = {{"device", device.str()}, {"name", describe_device(device)}};
    const auto [free, total] = at::getDeviceAllocator(at::kCUDA)->getMemoryInfo(device.index());
    gpu["memory_bytes"] = total;
    gpu["free_bytes"] = free;
    list.push_back(gpu);
  }
  return list;
}

/// The device and the kernels that a render with default settings uses.
Json render_choice() {
  const at::Device device = resolve_device("auto");
  const at::ScalarType dtype = resolve_dtype("auto", device);
  std::string convolution = device.is_cuda() ? "cuDNN" : "oneDNN";
#ifdef FLASHBLOCK_CUDA
  if (device.is_cuda() && dtype == at::kBFloat16 && cuda::has_bordered_convolutions(device))
    convolution = "own, Hopper";
#endif
  return {{"device", device.str()},
          {"dtype", dtype_name(dtype)},
          {"attention", describe(attention_kernel(device, dtype, kHeadWidth))},
          {"convolutions", convolution},
          {"linears", device.is_cuda() ? "cuBLAS, " + std::to_string(planned_products(device)) +
                                             " products by its table of algorithms"
                                       : "oneDNN"}};
}

Json disk_space(Json& found) {
  Json list = Json::array();
  const auto add = [&](const char* what, const fs::path& folder) {
    fs::path existing = folder;
    while (!existing.empty() && !fs::exists(existing) && existing.has_relative_path())
      existing = existing.parent_path();
    std::error_code fault;
    const fs::space_info space = fs::space(existing, fault);
    const bool writable = !fault && access(existing.c_str(), W_OK) == 0;
    const int64_t free = fault ? 0 : static_cast<int64_t>(space.available);
    list.push_back({{"for", what}, {"folder", folder.string()}, {"free_bytes", free}, {"writable", writable}});
    if (writable && free < kLeastDisk) add_problem(found, ExitStatus::kMedia, folder.string() + ": the disk is full");
  };
  std::error_code fault;
  add("videos", fs::current_path(fault));
  if (const fs::path cache = user_cache_folder(""); !cache.empty()) add("cache", cache.lexically_normal());
  add("temporary files", fs::temp_directory_path(fault));
  return list;
}

/// Models that are whole, and how many presets wait for their weights.
Json models(Json& found) {
  Json whole = Json::array(), folders = Json::array();
  int64_t presets = 0;
  for (const fs::path& folder : model_folders()) {
    folders.push_back(folder.string());
    std::error_code fault;
    for (const auto& entry : fs::directory_iterator(folder, fault)) {
      if (entry.path().extension() == ".yaml") ++presets;
      if (!fs::exists(entry.path() / "model.yaml")) continue;
      try {
        const ModelDescription model = load_model_file(entry.path());
        check_model_files(model, {ModelPart::kTransformer, ModelPart::kVae});
        whole.push_back({{"name", model.name}, {"folder", entry.path().string()}});
      } catch (const Error& error) {
        add_problem(found, error.status(), error.what());
      }
    }
  }
  if (whole.empty()) add_problem(found, ExitStatus::kWeights, "no model was found, not even the included one");
  return {{"whole", whole}, {"presets", presets}, {"folders", folders}};
}

std::string gigabytes(const Json& bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f GB", bytes.get<double>() / 1e9);
  return text;
}

}  // namespace

Json examine_machine() {
  Json found = {{"program", build_info()}};
  std::error_code fault;
  found["program"]["path"] = fs::read_symlink("/proc/self/exe", fault).string();
  found["libraries"] = {{"libtorch", library_of(reinterpret_cast<const void*>(&at::globalContext))},
                        {"cxx", library_of(reinterpret_cast<const void*>(&std::terminate))}};
  found["processor"] = {
      {"name", describe_device(at::kCPU)}, {"threads", at::get_num_threads()}, {"bfloat16", processor_has_bfloat16()}};
  found["problems"] = Json::array();
  found["gpus"] = gpus();
  if (found["gpus"].empty()) found["no_gpu"] = gpu_absence();
  found["render"] = render_choice();
  const int64_t memory = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  found["memory"] = {{"bytes", memory}, {"available_bytes", available_memory_bytes()}};
  if (available_memory_bytes() < kLeastMemory) {
    add_problem(found, ExitStatus::kDevice, "little memory is available; the included model takes 0.8 GB");
  }
  found["disk"] = disk_space(found);
  found["models"] = models(found);
  return found;
}

std::string doctor_text(const Json& found) {
  const auto text = [](const Json& json) { return json.get<std::string>(); };
  std::ostringstream out;
  const auto line = [&](const char* what) -> std::ostream& {
    char padded[16];
    std::snprintf(padded, sizeof padded, "%-12s", what);
    return out << padded;
  };
  const Json& program = found.at("program");
  line("program") << "flashblock " << text(program.at("version")) << ", " << text(program.at("path")) << "\n";
  line("built") << text(program.at("compiler")) << ", " << text(program.at("build_type"));
  const Json& cuda = program.at("cuda");
  out << (cuda.is_null() ? ", without CUDA"
                         : ", CUDA " + text(cuda.at("compiler")) + " for " + text(cuda.at("architectures")))
      << "\n";
  line("LibTorch") << text(program.at("libtorch")) << ", " << text(found.at("libraries").at("libtorch")) << "\n";
  line("media") << text(program.at("media")) << "\n";
  const Json& processor = found.at("processor");
  line("processor") << text(processor.at("name")) << ", " << processor.at("threads") << " threads, bfloat16 "
                    << (processor.at("bfloat16").get<bool>() ? "in hardware" : "not in hardware") << "\n";
  if (found.contains("no_gpu")) line("GPU") << "none: " << text(found.at("no_gpu")) << "\n";
  for (const Json& gpu : found.at("gpus")) {
    line("GPU") << text(gpu.at("device")) << ", " << text(gpu.at("name")) << ", " << gigabytes(gpu.at("free_bytes"))
                << " free of " << gigabytes(gpu.at("memory_bytes")) << "\n";
  }
  const Json& render = found.at("render");
  line("renders on") << text(render.at("device")) << " in " << text(render.at("dtype")) << "\n";
  line("kernels") << "attention: " << text(render.at("attention"))
                  << "; convolutions: " << text(render.at("convolutions"))
                  << "; linears: " << text(render.at("linears")) << "\n";
  line("memory") << gigabytes(found.at("memory").at("available_bytes")) << " available of "
                 << gigabytes(found.at("memory").at("bytes")) << "\n";
  for (const Json& disk : found.at("disk")) {
    line("disk") << gigabytes(disk.at("free_bytes")) << " free for " << text(disk.at("for")) << ", "
                 << text(disk.at("folder")) << (disk.at("writable").get<bool>() ? "" : ", not writable") << "\n";
  }
  const Json& models = found.at("models");
  for (const Json& model : models.at("whole")) {
    line("model") << text(model.at("name")) << ", " << text(model.at("folder")) << "\n";
  }
  line("presets") << models.at("presets") << " of published models: flashblock help models\n";
  for (const Json& problem : found.at("problems")) line("PROBLEM") << text(problem.at("text")) << "\n";
  if (found.at("problems").empty()) line("problems") << "none\n";
  return out.str();
}

int run_doctor(const DoctorRequest& request) {
  const Json found = examine_machine();
  std::cout << (request.json ? json_text(found, 2) : doctor_text(found));
  const Json& problems = found.at("problems");
  return problems.empty() ? 0 : problems.at(0).at("status").get<int>();
}

}  // namespace flashblock
