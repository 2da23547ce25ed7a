#include "render/render.h"

#include <chrono>
#include <optional>
#include <utility>

#include "core/check.h"
#include "core/device.h"
#include "core/error.h"
#include "core/process_group.h"
#include "models/token_split.h"
#include "pipeline/loaded_model.h"
#include "render/cost_estimate.h"
#include "render/device_group.h"
#include "render/expansion.h"
#include "render/finished_video.h"
#include "render/output_check.h"
#include "render/video_render.h"
#include "settings/config_identity.h"

namespace flashblock {
namespace {

std::vector<at::Device> devices_of(const RenderConfig& config) {
  return resolve_devices(config.device, config.devices_per_video);
}

}  // namespace

/// A model with its measurements and the checksums of its files.
struct Renderer::ModelInUse {
  explicit ModelInUse(const RenderConfig& config, at::Device device)
      : model(config.model, device, resolve_dtype(config.dtype, device), profile, model_options(config)) {}

  Profile profile;  ///< of the current video
  LoadedModel model;
  WeightsFileLists weights;
  std::unique_ptr<DeviceGroup> group;  ///< started with the first video; null: one device

  /// Read from the headers of its weights for the first video.
  const ModelSizes& sizes() {
    if (!sizes_) sizes_ = model.sizes();
    return *sizes_;
  }

  /// Computed once for videos that are made from the same files.
  std::shared_ptr<const FileChecksums> checksums_of(const VideoIdentity& identity, const RenderConfig& config) {
    const std::string files = identity_json({.files = identity.files});
    if (!checksums_ || files != files_) checksums_ = start_checksums(identity, config);
    files_ = files;
    return checksums_;
  }

  /// The other processes, started if they are not; null: there are none.
  DeviceGroup* start_group(const RenderConfig& config) {
    const std::vector<at::Device> devices = devices_of(config);
    if (devices.size() > 1 && !group) {
      group = std::make_unique<DeviceGroup>(devices);
      model.set_followers(group->followers());
    }
    return group.get();
  }

 private:
  std::optional<ModelSizes> sizes_;
  std::string files_;  ///< those of checksums_, with their sizes and times
  std::shared_ptr<const FileChecksums> checksums_;
};

namespace {

/// Whether the video exists and is complete. With kResumeOrReplace, sets its configuration to resume what exists, or to
/// replace another video; what is left of a damaged video is replaced in any case. Throws: ConfigError if another video
/// may not be replaced.
bool is_complete(CheckedVideo& video, ExistingFiles existing) {
  RenderConfig& config = video.setup.config;
  const bool resume_or_replace = existing == ExistingFiles::kResumeOrReplace;
  const bool may_replace = resume_or_replace && std::exchange(config.overwrite, false);
  if (resume_or_replace) config.resume = true;
  try {
    if (!config.resume || find_video(config.output, video.identity) != VideoState::kComplete) return false;
    if (is_whole(config.output, config.cache)) {
      check_other_outputs_exist(config);
      return true;
    }
    config.overwrite = true;
    config.resume = false;
    return false;
  } catch (const ConfigError&) {
    if (!may_replace) throw;
    config.overwrite = true;
    config.resume = false;
    return false;
  }
}

}  // namespace

Renderer::Renderer() : writer_(std::make_unique<TimelineWriter>()) {}
Renderer::~Renderer() = default;

Renderer::ModelInUse& Renderer::find_model(const RenderConfig& config) {
  std::unique_ptr<ModelInUse>& found = models_[model_key(config)];
  if (!found) found = std::make_unique<ModelInUse>(config, devices_of(config).front());
  return *found;
}

Renderer::ModelInUse& Renderer::keep_only(const std::string& model_key) {
  std::erase_if(models_, [&](const auto& entry) { return entry.first != model_key; });
  ModelInUse& kept = *models_.at(model_key);
  kept.profile.clear();
  return kept;
}

LoadedModel& Renderer::model(const RenderConfig& config) { return find_model(config).model; }

CheckedVideo Renderer::check(const RenderConfig& config) {
  check_output_names(config);
  const std::vector<ModelPart> parts = needed_parts(config);
  check_model_files(config.model, parts);
  ModelInUse& used = find_model(config);
  const LoadedModel& model = used.model;
  CheckedVideo video{.setup = set_up_render(config, used.sizes(), *writer_),
                     .model_key = model_key(config),
                     .device = model.device(),
                     .dtype = model.dtype()};
  TokenSplit::check(std::ssize(devices_of(config)), video.setup.geometry.tokens_per_frame(),
                    model.transformer_config().heads);
  video.identity = identify_video(video.setup, video.device, video.dtype, parts, used.weights);
  return video;
}

CostEstimate Renderer::estimate(const CheckedVideo& video) {
  return estimate_cost(video.setup, find_model(video.setup.config).model);
}

RenderResult Renderer::render(const RenderConfig& config, RenderObserver& observer, const std::stop_token& stop,
                              const RenderOptions& options) {
  FB_CHECK(config.seed && !config.output.empty());
  const auto start = std::chrono::steady_clock::now();
  DeviceGroup* group = nullptr;
  try {
    CheckedVideo video = check(config);
    ModelInUse& used = keep_only(video.model_key);
    video.identity.checksums = used.checksums_of(video.identity, config);
    if (is_complete(video, options.existing)) {
      remove_leftovers(config.output);
      return {.outcome = RenderOutcome::kAlreadyComplete,
              .frames = video.setup.plan.frames,
              .blocks = video.setup.plan.blocks,
              .config = video.setup.config};
    }
    check_outputs(video.setup);
    observer.begin(video.setup);
    group = used.start_group(video.setup.config);
    if (group) group->set_configuration(video.setup.config, video.dtype);
    return VideoRender(std::move(video), used.model, used.profile, observer, options, start).run(stop);
  } catch (const ConfigError&) {
    throw;
  } catch (const ProcessLost& lost) {
    const Error error = group ? group->explain(lost) : Error(lost);
    models_.clear();
    throw Error(error);
  } catch (...) {
    models_.clear();
    throw;
  }
}

}  // namespace flashblock
