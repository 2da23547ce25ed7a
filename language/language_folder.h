// A language model as it was downloaded: a folder with configuration, weights and tokenizer.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <filesystem>
#include <memory>
#include <optional>

#include "language/byte_pair_tokenizer.h"
#include "language/language_model.h"

namespace flashblock {

/// What a folder says before its weights are read. Of a folder without tokenizer files there is no tokenizer.
struct LanguageFolder {
  std::filesystem::path path;
  LanguageConfig config;
  std::optional<BytePairTokenizer> tokenizer;
};

/// Reads a published folder but for its weights. Throws: ConfigError and WeightsError as read_language_config and
/// BytePairTokenizer::load, and for a tokenizer with more tokens than the model.
LanguageFolder open_language_folder(const std::filesystem::path& path);

/// Loads the weights: mapped, and streamed layer by layer where they do not fit into the device's memory. Throws:
/// WeightsError as WeightStore::open and LanguageModel::load.
std::shared_ptr<const LanguageModel> load_language_model(const LanguageFolder& folder, at::Device device,
                                                         at::ScalarType dtype);

/// kStreamed if the weights, converted to `dtype`, take more than `free_bytes`. On the CPU weights that are stored in
/// `dtype` are views into their file, which need no memory of their own: kResident.
LayerPlacement placement_for(const WeightStore& weights, at::Device device, at::ScalarType dtype, int64_t free_bytes);

}  // namespace flashblock
