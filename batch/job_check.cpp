#include "batch/job_check.h"

#include <algorithm>
#include <exception>
#include <map>
#include <memory>

#include "batch/video_maker.h"
#include "core/device.h"
#include "core/error.h"
#include "core/error_report.h"
#include "pipeline/loaded_model.h"
#include "render/describe_video.h"
#include "render/render_setup.h"
#include "settings/model_file.h"

namespace flashblock {
namespace {

/// Models by key: geometry only, no tensors.
class KnownModels {
 public:
  const LoadedModel& get(const std::string& key, const RenderConfig& config) {
    auto found = models_.find(key);
    if (found == models_.end()) {
      const at::Device device = resolve_device(config.device);
      auto model = std::make_unique<LoadedModel>(config.model, device, resolve_dtype(config.dtype, device), profile_);
      found = models_.emplace(key, std::move(model)).first;
    }
    return *found->second;
  }

 private:
  Profile profile_;
  std::map<std::string, std::unique_ptr<LoadedModel>> models_;
};

void check_video(BatchVideo& video, KnownModels& models) {
  video.config = resolve_config(video.layers);
  const std::vector<ModelPart> parts = needed_parts(video.config);
  check_model_files(video.config.model, parts);
  if (video.config.output.extension() != ".mp4") {
    throw ConfigError("the output is " + video.config.output.string() + ", wanted a file name that ends in .mp4");
  }
  video.model_key = model_key(video.config);
  const LoadedModel& model = models.get(video.model_key, video.config);
  const RenderSetup setup = set_up_render(video.config, model.transformer_config());
  video.identity = describe_video(setup, model.device(), model.dtype(), parts);
  video.config = setup.config;
  video.blocks = setup.plan.blocks;
  video.frames = setup.plan.frames;
}

void find_conflicting_files(std::vector<BatchVideo>& videos) {
  std::map<std::filesystem::path, const BatchVideo*> owners;
  for (BatchVideo& video : videos) {
    if (video.fault) continue;
    for (const auto& file : {video.config.output, video.config.contact_sheet, video.config.record}) {
      if (file.empty()) continue;
      const auto [owner, is_new] = owners.emplace(file, &video);
      if (is_new) continue;
      video.fault = fault_at(video.place, static_cast<int>(ExitStatus::kConfig),
                             file.string() + " is also a file of " + owner->second->name + ", see " +
                                 owner->second->place + ": use {name} or {seed} in its path");
      break;
    }
  }
}

}  // namespace

void check_videos(std::vector<BatchVideo>& videos) {
  KnownModels models;
  for (BatchVideo& video : videos) {
    if (video.fault) continue;
    try {
      check_video(video, models);
    } catch (...) {
      const ErrorReport report = report_error(std::current_exception());
      video.fault = fault_at(video.place, static_cast<int>(report.status), report.line);
    }
  }
  find_conflicting_files(videos);
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
