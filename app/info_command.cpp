#include "app/info_command.h"

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "core/device.h"
#include "core/error.h"
#include "core/html_page.h"
#include "models/checkpoint_info.h"
#include "models/checkpoint_info_text.h"
#include "render/cost_estimate.h"
#include "render/render.h"
#include "settings/config_file.h"
#include "settings/model_file.h"
#include "weights/model_component.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

using Json = nlohmann::ordered_json;

/// One file that a model file names.
struct NamedPart {
  std::string name;
  std::filesystem::path path;
  std::string entry;                        ///< the set of weights that is used, where the file holds several
  bool weights = true;                      ///< whether it is a file of tensors
  std::optional<ModelComponent> component;  ///< which of several models in the file it is
  std::filesystem::path config;             ///< of the transformer, where the model file names one
  double scale = 1;                         ///< of an adapter
};

std::vector<NamedPart> parts_of(const ModelDescription& model) {
  std::vector<NamedPart> parts = {
      {.name = "transformer",
       .path = model.transformer.path,
       .entry = model.transformer.entry,
       .component = ModelComponent::kTransformer,
       .config = model.transformer_config},
      {.name = "text_encoder",
       .path = model.text_encoder.path,
       .entry = model.text_encoder.entry,
       .component = ModelComponent::kTextEncoder},
      {.name = "tokenizer", .path = model.tokenizer, .weights = false},
      {.name = "vae", .path = model.vae.path, .entry = model.vae.entry, .component = ModelComponent::kVae}};
  for (const LoraFile& lora : model.lora)
    parts.push_back({.name = "lora", .path = lora.path, .entry = lora.entry, .scale = lora.scale});
  return parts;
}

bool is_damaged(const ModelInfo& info) {
  const auto unusable = [](const WeightSetInfo& set) { return !set.quantized.empty() || !set.problem.empty(); };
  const auto damaged = [&](const CheckpointInfo& checkpoint) {
    return !checkpoint.problem.empty() || std::ranges::any_of(checkpoint.sets, unusable);
  };
  return !info.missing_parts.empty() || std::ranges::any_of(info.checkpoints, damaged);
}

/// What a part's file holds; none if it is missing or cannot be read. `problem` says why it cannot be used.
std::optional<ModelInfo> inspect_part(const NamedPart& part, std::string& problem) {
  if (part.path.empty()) problem = "not named in the model file";
  if (!part.path.empty() && !std::filesystem::exists(part.path)) problem = "missing: " + part.path.string();
  if (!problem.empty() || !part.weights) return {};
  std::optional<ModelInfo> info;
  try {
    info = inspect_model(part.path, {.sampling = SamplingKnown::kYes, .transformer_config = part.config});
    info->missing_parts.clear();  // a folder that holds one part is no incomplete model
    WeightStore::open(part.path, part.entry, part.component);
  } catch (const WeightsError& error) {
    problem = error.what();
  }
  return info;
}

/// Says in words and JSON what memory a video of a model takes on this machine's device, as a dry run estimates it.
void add_memory(const std::filesystem::path& model_file, const std::string& size, std::string& words, Json& json) {
  const auto layer = [](const char* key, const std::string& value) {
    return make_config_layer(std::string("--") + key, key, YAML::Node(value));
  };
  Renderer renderer;
  const CheckedVideo video =
      renderer.check(resolve_config({layer("model", model_file), layer("size", size), layer("prompt", "a video")}));
  const MemoryEstimate memory = renderer.estimate(video).memory;
  const RenderConfig& config = video.setup.config;
  const std::string frame_size = std::to_string(config.width) + "x" + std::to_string(config.height);
  std::ostringstream text;
  text << "\na video of " << frame_size << ", " << config.seconds << " s, on " << video.device.str() << " in "
       << dtype_name(video.dtype) << ":\n"
       << memory_text(memory, "  ");
  words += text.str();
  json["memory"] = {{"size", frame_size},
                    {"seconds", config.seconds},
                    {"device", video.device.str()},
                    {"dtype", dtype_name(video.dtype)},
                    {"host_bytes", memory.host_bytes},
                    {"device_bytes", memory.devices.empty() ? 0 : memory.devices.front().bytes},
                    {"host_parts", Json::object()},
                    {"device_parts", Json::object()}};
  for (const MemoryPart& part : memory.host) json["memory"]["host_parts"][part.name] = part.bytes;
  if (memory.devices.empty()) return;
  for (const MemoryPart& part : memory.devices.front().parts) json["memory"]["device_parts"][part.name] = part.bytes;
}

int print_model_file(const std::filesystem::path& file, const InfoRequest& request) {
  const ModelDescription model = load_model_file(file);
  Json json = {{"name", model.name}, {"file", model.file.string()}, {"parts", nlohmann::json::array()}};
  std::string words = model.name + ": " + model.file.string() + "\n";
  if (!model.about.empty()) {
    json["about"] = model.about;
    words += "knows " + model.about + "\n";
  }
  bool whole = true;
  for (const NamedPart& part : parts_of(model)) {
    std::string problem;
    const std::optional<ModelInfo> info = inspect_part(part, problem);
    whole = whole && problem.empty() && !(info && is_damaged(*info));
    Json entry = {{"part", part.name}, {"file", part.path.string()}, {"problem", problem}};
    if (info) entry["content"] = to_json(*info);
    if (!part.entry.empty()) entry["weights"] = part.entry;
    if (part.name == "lora") entry["scale"] = part.scale;
    json["parts"].push_back(std::move(entry));
    words += "\n" + part.name + (part.entry.empty() ? "" : " (" + part.entry + ")") + ": ";
    if (part.scale != 1) words += "times " + json_line(part.scale) + ", ";
    words += !problem.empty() ? problem + "\n" : info ? "" : part.path.string() + "\n";
    if (info) words += describe(*info);
  }
  if (whole && !request.size.empty()) add_memory(file, request.size, words, json);
  std::cout << (request.json ? json_text(json, 2) : words);
  return whole ? 0 : static_cast<int>(ExitStatus::kWeights);
}

}  // namespace

std::string megabytes(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / 1e6);
  return text;
}

std::string memory_text(const MemoryEstimate& memory, const std::string& front) {
  const auto where = [&](const DeviceMemory& device) {
    return memory.devices.size() == 1 ? std::string("the GPU") : device.name;
  };
  std::string text = front + "expected memory: " + megabytes(memory.host_bytes);
  for (const DeviceMemory& device : memory.devices) text += ", and " + megabytes(device.bytes) + " on " + where(device);
  text += "\n";
  const auto add = [&](const std::string& place, const MemoryPart& part) {
    text += front + "  " + place + part.name + ": " + megabytes(part.bytes) + "\n";
  };
  for (const MemoryPart& part : memory.host) add("", part);
  for (const DeviceMemory& device : memory.devices)
    for (const MemoryPart& part : device.parts) add("on " + where(device) + ", ", part);
  return text;
}

int run_info(const InfoRequest& request) {
  const std::filesystem::path path = find_model(request.model);
  const std::string extension = path.extension().string();
  const bool model_file = extension == ".yaml" || extension == ".yml" || std::filesystem::exists(path / "model.yaml");
  if (model_file) return print_model_file(path, request);
  InspectOptions options;
  if (!request.size.empty()) {
    const auto [width, height] = YamlValue(YAML::Node(request.size), {.file = "--size", .key = ""}).frame_size();
    options.size = VideoGeometry{.width = width, .height = height};
    options.size->validate();
  }
  const ModelInfo info = inspect_model(path, options);
  std::cout << (request.json ? json_text(to_json(info), 2) : describe(info));
  return is_damaged(info) ? static_cast<int>(ExitStatus::kWeights) : 0;
}

}  // namespace flashblock
