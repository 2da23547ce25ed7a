#include "app/info_command.h"

#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "app/model_file.h"
#include "app/model_search.h"
#include "core/error.h"
#include "pipeline/checkpoint_info.h"

namespace flashblock {
namespace {

/// One file that a model file names.
struct NamedPart {
  std::string name;
  std::filesystem::path path;
  bool weights = true;  ///< false: not a file of tensors
};

std::vector<NamedPart> parts_of(const ModelDescription& model) {
  std::vector<NamedPart> parts = {{"transformer", model.transformer.path},
                                  {"text_encoder", model.text_encoder.path},
                                  {"tokenizer", model.tokenizer, false},
                                  {"vae", model.vae.path}};
  for (const LoraFile& lora : model.lora) parts.push_back({"lora", lora.path});
  return parts;
}

bool is_damaged(const ModelInfo& info) {
  for (const CheckpointInfo& checkpoint : info.checkpoints) {
    if (!checkpoint.problem.empty()) return true;
  }
  return !info.missing_parts.empty();
}

/// What can be said of a part; none if its file is missing or cannot be read, which `problem` then tells.
std::optional<ModelInfo> inspect_part(const NamedPart& part, std::string& problem) {
  if (part.path.empty()) problem = "not named in the model file";
  if (!part.path.empty() && !std::filesystem::exists(part.path)) problem = "missing: " + part.path.string();
  if (!problem.empty() || !part.weights) return {};
  try {
    return inspect_model(part.path, SamplingKnown::kYes);
  } catch (const WeightsError& error) {
    problem = error.what();
    return {};
  }
}

int print_model_file(const std::filesystem::path& file, bool as_json) {
  const ModelDescription model = load_model_file(file);
  nlohmann::ordered_json json = {
      {"name", model.name}, {"file", model.file.string()}, {"parts", nlohmann::json::array()}};
  std::string words = model.name + ": " + model.file.string() + "\n";
  bool whole = true;
  for (const NamedPart& part : parts_of(model)) {
    std::string problem;
    const std::optional<ModelInfo> info = inspect_part(part, problem);
    whole = whole && problem.empty() && !(info && is_damaged(*info));
    nlohmann::ordered_json entry = {{"part", part.name}, {"file", part.path.string()}, {"problem", problem}};
    if (info) entry["content"] = to_json(*info);
    json["parts"].push_back(entry);
    words += "\n" + part.name + ": ";
    words += !problem.empty() ? problem + "\n" : info ? describe(*info) : part.path.string() + "\n";
  }
  std::cout << (as_json ? json.dump(2) + "\n" : words);
  return whole ? 0 : static_cast<int>(ExitStatus::kWeights);
}

}  // namespace

int run_info(const InfoRequest& request) {
  const std::filesystem::path path = find_model(request.model);
  const std::string extension = path.extension().string();
  const bool model_file = extension == ".yaml" || extension == ".yml" || std::filesystem::exists(path / "model.yaml");
  if (model_file) return print_model_file(path, request.json);
  const ModelInfo info = inspect_model(path);
  std::cout << (request.json ? to_json(info).dump(2) + "\n" : describe(info));
  return is_damaged(info) ? static_cast<int>(ExitStatus::kWeights) : 0;
}

}  // namespace flashblock
