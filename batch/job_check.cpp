#include "batch/job_check.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "core/error.h"
#include "core/output_path.h"
#include "media/video_writer.h"
#include "render/finished_video.h"
#include "render/output_check.h"
#include "render/render.h"
#include "render/sidecar.h"
#include "settings/config_identity.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

/// Whether the video is done; if it is not, checks the files that rendering it leaves, as its worker will.
void check_files(BatchVideo& video, RenderSetup setup) {
  RenderConfig& config = setup.config;
  video.finished = is_video_finished(video);
  if (video.finished) return;
  config.overwrite = video_state(config.output) == VideoState::kComplete;  // what is there may be replaced
  config.resume = !config.overwrite;
  const FinishedVideo left = config.overwrite ? inspect_finished_video(config.output, config.cache) : FinishedVideo();
  if (left.state == FinishedState::kDamaged)
    video.warnings.push_back(config.output.string() + " is damaged, and is rendered again: " + left.problem);
  bool missing = false;
  for (const fs::path& file : output_files(config)) {
    check_folder_can_be_made(file.parent_path(), {.key = "output"});
    missing = missing || !fs::exists(file.parent_path());
  }
  if (!missing) check_outputs(setup);  // missing folders are created
}

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
  video.config = checked.setup.config;
  video.model_key = std::move(checked.model_key);
  video.identity = std::move(checked.identity);
  video.blocks = checked.setup.plan.blocks;
  video.frames = checked.setup.plan.frames;
  video.warnings = checked.setup.warnings;
  check_files(video, std::move(checked.setup));
}

/// Adds what else is wrong with its settings to a video's fault.
void add_further_faults(BatchVideo& video) {
  for (const std::string& problem : setting_faults(video.layers)) {
    const std::string message = fault_at(video.place, ExitStatus::kConfig, problem).message;
    if (message != video.fault->message) video.fault->more.push_back(message);
  }
}

void find_conflicting_files(std::vector<BatchVideo>& videos) {
  std::map<fs::path, const BatchVideo*> owners;
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

/// Throws: ConfigError, beginning with `what`, if the video of that identity is another one.
void refuse_another(const std::string& what, const BatchVideo& video, const VideoIdentity& stated) {
  const bool any_dtype = video.config.dtype == "auto";
  const VideoIdentity existing = portable_part(stated, any_dtype);
  VideoIdentity wanted = portable_part(video.identity, any_dtype);
  if (difference(existing, wanted).empty()) return;
  wanted.checksums =
      start_checksums(wanted, video.config);  // files with a new time of change may have the same content
  const std::string differences = difference(existing, wanted);
  if (differences.empty()) return;
  throw ConfigError(
      what + " was made with other settings (" + differences + ")",
      {.key = "output", .remedies = {{"choose another name", "output", ""}, {"replace it", "overwrite", "true"}}});
}

}  // namespace

void check_videos(std::vector<BatchVideo>& videos) {
  Renderer renderer;
  for (BatchVideo& video : videos) {
    try {
      if (!video.fault) check_video(video, renderer);
    } catch (...) {
      video.fault = current_fault_at(video.place);
    }
    if (video.fault && video.fault->status == static_cast<int>(ExitStatus::kConfig)) add_further_faults(video);
  }
  find_conflicting_files(videos);
}

bool is_video_finished(const BatchVideo& video) {
  const fs::path& output = video.config.output;
  const VideoState state = video_state(output);
  try {
    if (state == VideoState::kUnfinished && is_begun(output))
      refuse_another(parts_folder(output).string() + " holds an unfinished video that", video,
                     read_unfinished_identity(output));
    if (state != VideoState::kComplete) return false;
    refuse_another(output.string() + " exists and", video, read_complete_identity(output));
    if (!is_whole(output, video.config.cache)) return false;
    check_other_outputs_exist(video.config);
    return true;
  } catch (const ConfigError&) {
    if (video.config.overwrite) return false;
    throw;
  }
}

JobStatus current_status(const BatchVideo& video, JobStatus saved) {
  if (saved.state == JobState::kRunning) return saved;
  saved.output = video.config.output.string();
  const auto status = static_cast<ExitStatus>(video.fault ? video.fault->status : 0);
  const bool elsewhere = status == ExitStatus::kDevice || status == ExitStatus::kWeights;
  if (video.fault && !elsewhere) {
    saved.state = JobState::kFailed;
    saved.fault = video.fault;
  } else if (video.finished) {
    saved.state = JobState::kDone;
    saved.fault.reset();
    if (saved.frames == 0) saved.frames = video.frames;
  } else if (saved.state == JobState::kDone &&
             (!video.fault || inspect_finished_video(video.config.output).state != FinishedState::kWhole)) {
    return {};
  }
  return saved;
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
