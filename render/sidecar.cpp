#include "render/sidecar.h"

#include <torch/headeronly/version.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/atomic_file.h"
#include "core/device.h"
#include "core/html_page.h"
#include "core/memory_meter.h"
#include "media/video_format.h"
#include "media/video_writer.h"
#include "render/finished_video.h"
#include "render/own_file.h"
#include "settings/config_file.h"
#include "settings/config_identity.h"

namespace flashblock {
namespace {

using Json = nlohmann::ordered_json;

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

/// Whether the file holds weights of the model.
bool is_weights(const IdentityFile& file) {
  constexpr std::array kRoles = {"transformer", "text_encoder", "vae", "lora"};
  return std::find(kRoles.begin(), kRoles.end(), file.role) != kRoles.end();
}

Json weights(const VideoIdentity& identity) {
  Json files = Json::array();
  const std::vector<FileChecksum> none;
  const std::vector<FileChecksum>& checksums = identity.checksums ? identity.checksums->get() : none;
  for (size_t i = 0; i < checksums.size(); ++i) {
    if (!is_weights(identity.files[i])) continue;
    files.push_back(
        {{"file", checksums[i].file.string()}, {"bytes", checksums[i].bytes}, {"sha256", checksums[i].sha256}});
  }
  return files;
}

/// The files by name, without their folders; empty if the checksums are not computed yet.
Json public_files(const VideoIdentity& identity) {
  Json files = Json::array();
  if (!identity.checksums || !identity.checksums->ready()) return files;
  const std::vector<FileChecksum>& checksums = identity.checksums->get();
  for (size_t i = 0; i < checksums.size(); ++i) {
    files.push_back({{"role", identity.files[i].role},
                     {"name", checksums[i].file.filename().string()},
                     {"sha256", checksums[i].sha256}});
  }
  return files;
}

Json video_summary(const CheckedVideo& video, const RenderResult& result) {
  const RenderConfig& config = result.config;
  Json summary = {{"file", config.output.filename().string()},
                  {"frames", result.frames},
                  {"seconds", static_cast<double>(result.frames) / static_cast<double>(config.fps)},
                  {"fps", config.fps},
                  {"width", config.width},
                  {"height", config.height},
                  {"frame_blocks", video.setup.plan.blocks},
                  {"resumed_frame_blocks", result.resumed_blocks},
                  {"seed", *config.seed},
                  {"model", config.model.name},
                  {"choices", video.setup.choices}};
  summary.update(written_video_json(config.output, result.frames));
  return summary;
}

}  // namespace

RenderConfig published_config(RenderConfig config) {
  config.overwrite = config.resume = false;
  return without_secrets(std::move(config));
}

std::map<std::string, std::string> video_tags(const RenderConfig& config, const VideoIdentity& identity) {
  const RenderConfig published = published_config(config);
  std::map<std::string, std::string> tags = {{"seed", std::to_string(*config.seed)},
                                             {"model", config.model.name},
                                             {"program", "flashblock " FLASHBLOCK_VERSION},
                                             {"configuration", config_yaml(published, PathStyle::kPublic)}};
  if (!published.prompt.empty()) tags["prompt"] = published.prompt;
  if (const Json files = public_files(identity); !files.empty()) {
    tags["files"] = json_line(files);
  }
  return tags;
}

std::filesystem::path sidecar_file(const std::filesystem::path& video) { return companion_file(video, ".json"); }

std::optional<DescribedVideo> described_video(const std::filesystem::path& video) {
  const std::filesystem::path sidecar = sidecar_file(video);
  if (!is_own_file(sidecar)) return std::nullopt;
  std::ifstream stream(sidecar, std::ios::binary);
  const Json json = Json::parse(stream, nullptr, /*allow_exceptions=*/false);
  try {
    const Json& described = json.at("video");
    return DescribedVideo{.file = described.at("file"),
                          .frames = described.at("frames"),
                          .bytes = described.value("bytes", uintmax_t{0}),
                          .modified_ns = described.value("modified_ns", int64_t{0}),
                          .sha256 = described.value("sha256", "")};
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

void write_sidecar(const CheckedVideo& video, const RenderResult& result, const Profile& profile, double seconds) {
  if (video.identity.checksums) video.identity.checksums->get();  // waits
  const Json json = {
      {"program", "flashblock " FLASHBLOCK_VERSION},
      {"versions", {{"libtorch", TORCH_VERSION}, {"media", media_library_versions()}}},
      {"video", video_summary(video, result)},
      {"configuration", config_json(published_config(result.config))},
      {"truncated_prompts", truncation_json(video.setup.truncated_prompts, result.config.metadata)},
      {"device", video.device.str()},
      {"dtype", dtype_name(video.dtype)},
      {"weights", weights(video.identity)},
      {"identity", Json::parse(identity_json(video.identity))},
      {"seconds", seconds},
      {"stages", stage_times(profile)},
      {"work", work(result.counts)},
      {"peak_memory_bytes", {{"host", peak_memory_bytes()}, {"device", peak_device_memory_bytes(video.device)}}},
  };
  write_file_atomically(sidecar_file(result.config.output), json_text(json, 2));
}

}  // namespace flashblock
