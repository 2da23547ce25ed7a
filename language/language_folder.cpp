#include "language/language_folder.h"

#include <string>

#include "core/error.h"
#include "core/memory_meter.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

// Left for activations, caches and all else.
constexpr double kUsableShare = 0.9;

bool has_tokenizer(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / "tokenizer.json") || std::filesystem::exists(folder / "vocab.json");
}

}  // namespace

LayerPlacement placement_for(const WeightStore& weights, at::Device device, at::ScalarType dtype, int64_t free_bytes) {
  int64_t bytes = 0;
  for (const std::string& name : weights.names()) {
    if (device.is_cpu() && weights.dtype(name) == dtype) continue;
    bytes += weights.numel(name) * static_cast<int64_t>(c10::elementSize(dtype));
  }
  return double(bytes) > kUsableShare * double(free_bytes) ? LayerPlacement::kStreamed : LayerPlacement::kResident;
}

LanguageFolder open_language_folder(const std::filesystem::path& path) {
  LanguageFolder folder{.path = path, .config = read_language_config(path)};
  if (!has_tokenizer(path)) return folder;
  folder.tokenizer = BytePairTokenizer::load(path);
  if (folder.tokenizer->size() > folder.config.vocabulary)
    throw WeightsError(path.string() + ": the tokenizer has " + std::to_string(folder.tokenizer->size()) +
                       " tokens, the model " + std::to_string(folder.config.vocabulary) +
                       "; the folder holds files of different models");
  return folder;
}

std::shared_ptr<const LanguageModel> load_language_model(const LanguageFolder& folder, at::Device device,
                                                         at::ScalarType dtype) {
  const auto weights = WeightStore::open(folder.path);
  const int64_t free_bytes = device.is_cpu() ? available_memory_bytes() : free_device_memory_bytes(device);
  return LanguageModel::load(weights, folder.config, device, dtype, placement_for(*weights, device, dtype, free_bytes));
}

}  // namespace flashblock
