#include "batch/job_check.h"

#include <algorithm>
#include <exception>
#include <map>
#include <utility>

#include "core/error.h"
#include "core/error_report.h"
#include "render/render.h"
#include "settings/config_identity.h"

namespace flashblock {
namespace {

void check_video(BatchVideo& video, Renderer& renderer) {
  video.config = resolve_config(video.layers);
  CheckedVideo checked = renderer.check(video.config);
  video.config = std::move(checked.setup.config);
  video.model_key = std::move(checked.model_key);
  video.identity = std::move(checked.identity);
  video.blocks = checked.setup.plan.blocks;
  video.frames = checked.setup.plan.frames;
}

void find_conflicting_files(std::vector<BatchVideo>& videos) {
  std::map<std::filesystem::path, const BatchVideo*> owners;
  for (BatchVideo& video : videos) {
    if (video.fault) continue;
    for (const std::filesystem::path& file : output_files(video.config)) {
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
  Renderer renderer;
  for (BatchVideo& video : videos) {
    if (video.fault) continue;
    try {
      check_video(video, renderer);
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
