#include "batch/job_check.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "core/error.h"
#include "media/video_writer.h"
#include "render/output_check.h"
#include "render/render.h"
#include "settings/config_identity.h"

namespace flashblock {
namespace {

void check_video(BatchVideo& video, Renderer& renderer) {
  video.config = resolve_config(video.layers);
  if (!video.config.standard_output.empty()) {
    throw ConfigError("output is '" + video.config.standard_output + "', standard output, wanted a file for each job",
                      {.key = "output"});
  }
  if (video.config.device.starts_with("cuda:") && video.config.device.find(',') != std::string::npos) {
    throw ConfigError("device is '" + video.config.device +
                          "', but a batch assigns GPUs: wanted devices_per_video, the number of them for each video",
                      {.key = "device"});
  }
  if (video.config.decoder_device.starts_with("cuda")) {
    throw ConfigError("decoder_device is '" + video.config.decoder_device +
                          "', but a batch assigns GPUs: wanted auto, the first GPU of each video, or cpu",
                      {.key = "decoder_device"});
  }
  CheckedVideo checked = renderer.check(video.config);
  video.config = std::move(checked.setup.config);
  video.model_key = std::move(checked.model_key);
  video.identity = std::move(checked.identity);
  video.blocks = checked.setup.plan.blocks;
  video.frames = checked.setup.plan.frames;
  video.warnings = std::move(checked.setup.warnings);
}

void find_conflicting_files(std::vector<BatchVideo>& videos) {
  std::map<std::filesystem::path, const BatchVideo*> owners;
  for (BatchVideo& video : videos) {
    if (video.fault) continue;
    for (const WrittenFile& written : written_files(video.config)) {
      const std::filesystem::path& file = written.path;
      const auto [owner, is_new] = owners.emplace(file, &video);
      if (is_new) continue;
      video.fault = fault_at(video.place, ExitStatus::kConfig,
                             file.string() + " is also a file of " + owner->second->name + ", see " +
                                 owner->second->place + ": use {name} or {seed} in its path");
      break;
    }
  }
}

/// The identity without the facts that matter only for resuming: a finished video may come from another machine.
VideoIdentity portable_part(VideoIdentity identity, bool any_dtype) {
  constexpr std::array kMachine = {"program",        "libtorch", "media libraries", "device",
                                   "decoder device", "threads",  "processes"};
  std::erase_if(identity.facts, [&](const auto& fact) {
    const bool of_machine = std::find(kMachine.begin(), kMachine.end(), fact.first) != kMachine.end();
    return of_machine || (any_dtype && fact.first == "dtype");
  });
  return identity;
}

}  // namespace

void check_videos(std::vector<BatchVideo>& videos) {
  Renderer renderer;
  for (BatchVideo& video : videos) {
    if (video.fault) continue;
    try {
      check_video(video, renderer);
    } catch (...) {
      video.fault = current_fault_at(video.place);
    }
  }
  find_conflicting_files(videos);
}

bool is_video_finished(const BatchVideo& video) {
  const RenderConfig& config = video.config;
  if (video_state(config.output) != VideoState::kComplete) return false;
  try {
    const bool any_dtype = config.dtype == "auto";
    const VideoIdentity existing = portable_part(read_complete_identity(config.output), any_dtype);
    VideoIdentity wanted = portable_part(video.identity, any_dtype);
    std::string differences = difference(existing, wanted);
    if (differences.empty()) return true;
    wanted.checksums = start_checksums(wanted, config);  // files with a new modification time may have the same content
    differences = difference(existing, wanted);
    if (differences.empty()) return true;
    throw ConfigError(
        config.output.string() + " exists and was made with other settings (" + differences + ")",
        {.key = "output", .remedies = {{"choose another name", "output", ""}, {"replace it", "overwrite", "true"}}});
  } catch (const ConfigError&) {
    if (config.overwrite) return false;
    throw;
  }
}

std::vector<size_t> render_order(const std::vector<BatchVideo>& videos) {
  std::map<std::string, size_t> first;
  for (size_t i = 0; i < videos.size(); ++i) first.emplace(videos[i].model_key, i);
  std::vector<size_t> order(videos.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return first.at(videos[a].model_key) < first.at(videos[b].model_key); });
  return order;
}

}  // namespace flashblock
