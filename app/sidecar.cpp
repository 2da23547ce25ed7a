#include "app/sidecar.h"

#include <torch/headeronly/version.h>
#include <yaml-cpp/yaml.h>

#include <nlohmann/json.hpp>

#include "app/config_file.h"
#include "core/atomic_file.h"
#include "core/device.h"
#include "core/sha256.h"
#include "media/film_format.h"
#include "pipeline/cost_estimate.h"

namespace flashblock {
namespace {

using Json = nlohmann::ordered_json;

/// A YAML document as JSON; what is not in quotes becomes a number or a truth value where it can.
Json to_json(const YAML::Node& node) {
  if (node.IsMap()) {
    Json object = Json::object();
    for (const auto& entry : node) object[entry.first.Scalar()] = to_json(entry.second);
    return object;
  }
  if (node.IsSequence()) {
    Json array = Json::array();
    for (const auto& entry : node) array.push_back(to_json(entry));
    return array;
  }
  if (node.IsNull()) return nullptr;
  const bool quoted = node.Tag() == "!";
  if (!quoted) {
    const Json value = Json::parse(node.Scalar(), nullptr, /*allow_exceptions=*/false);
    if (value.is_number() || value.is_boolean()) return value;
  }
  return node.Scalar();
}

Json stage_times(const Profile& profile) {
  Json stages = Json::object();
  for (const StageTime& stage : profile.stages()) {
    stages[stage.name] = {{"seconds", stage.seconds}, {"runs", stage.runs}};
  }
  return stages;
}

Json work(const RenderCounts& counts) {
  return {{"frame_blocks", counts.blocks_written},
          {"transformer_passes", counts.transformer.passes},
          {"external_attentions_computed", counts.transformer.external_computed},
          {"external_attentions_reused", counts.transformer.external_reused},
          {"evicted_latent_frames", counts.evicted_frames},
          {"cache_bytes", counts.state_bytes}};
}

Json weights(const WeightChecksums& checksums) {
  Json files = Json::array();
  for (const WeightChecksums::Entry& entry : checksums.get()) {
    files.push_back({{"file", entry.file.string()}, {"bytes", entry.bytes}, {"sha256", entry.sha256}});
  }
  return files;
}

Json film(const FilmAccount& account) {
  const RenderConfig& config = account.config;
  return {{"file", config.output.filename().string()},
          {"pictures", account.result.pictures},
          {"seconds", static_cast<double>(account.result.pictures) / static_cast<double>(config.fps)},
          {"fps", config.fps},
          {"width", config.width},
          {"height", config.height},
          {"frame_blocks", account.plan.blocks},
          {"seed", *config.seed},
          {"model", config.model.name}};
}

}  // namespace

RenderConfig told_config(RenderConfig config) {
  if (config.metadata) return config;
  config.prompt.clear();
  config.timeline.clear();
  config.model.recipe.negative_prompt.clear();
  return config;
}

std::map<std::string, std::string> film_tags(const RenderConfig& config) {
  const RenderConfig told = told_config(config);
  std::map<std::string, std::string> tags = {{"seed", std::to_string(*config.seed)},
                                             {"model", config.model.name},
                                             {"program", "flashblock " FLASHBLOCK_VERSION},
                                             {"configuration", config_yaml(told)}};
  if (!told.prompt.empty()) tags["prompt"] = told.prompt;
  return tags;
}

std::filesystem::path sidecar_file(const std::filesystem::path& film) {
  std::filesystem::path file = film;
  return file.replace_extension(".json");
}

WeightChecksums::WeightChecksums(std::vector<std::filesystem::path> files) {
  entries_ = std::async(std::launch::async, [files = std::move(files), stop = stop_.get_token()] {
               std::vector<Entry> entries;
               for (const std::filesystem::path& file : files) {
                 entries.push_back(
                     {.file = file, .bytes = std::filesystem::file_size(file), .sha256 = file_sha256(file, stop)});
               }
               return entries;
             }).share();
}

void write_sidecar(const FilmAccount& account, const Profile& profile, const WeightChecksums& checksums) {
  const Json json = {
      {"program", "flashblock " FLASHBLOCK_VERSION},
      {"versions", {{"libtorch", TORCH_VERSION}, {"media", media_library_versions()}}},
      {"film", film(account)},
      {"configuration", to_json(YAML::Load(config_yaml(told_config(account.config))))},
      {"device", account.device.str()},
      {"dtype", dtype_name(account.dtype)},
      {"weights", weights(checksums)},
      {"seconds", account.seconds},
      {"stages", stage_times(profile)},
      {"work", work(account.result.counts)},
      {"peak_memory_bytes", {{"host", peak_memory_bytes()}, {"device", peak_device_memory_bytes(account.device)}}},
  };
  write_file_atomically(sidecar_file(account.config.output),
                        json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace flashblock
