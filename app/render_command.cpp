#include "app/render_command.h"

#include <chrono>
#include <cstdio>
#include <iostream>

#include "app/memory_text.h"
#include "app/render_watch.h"
#include "app/setting_options.h"
#include "core/device.h"
#include "core/error_report.h"
#include "models/known_checkpoints.h"
#include "render/cost_estimate.h"
#include "render/output_check.h"
#include "render/render.h"
#include "render/resume.h"

namespace flashblock {
namespace {

/// A model that loads and gives poor videos is better known before an hour of rendering.
void warn_of_known_issue(const RenderRequest& request, const ModelDescription& model) {
  if (request.quiet || request.progress == ProgressStyle::kJson) return;
  const std::string issue = known_issue(model.transformer.path);
  if (!issue.empty()) std::cerr << "flashblock: warning: " << model.transformer.path.string() << ": " << issue << '\n';
}

int print_dry_run(const RenderConfig& config) {
  Renderer renderer;
  const CheckedVideo video = renderer.check(config);
  check_outputs(video.setup);
  const CostEstimate cost = renderer.estimate(video);
  std::cout << config_yaml(video.setup.config) << "# video: " << video.setup.plan.frames << " frames in "
            << video.setup.plan.blocks << " frame blocks, on " << video.device.str() << " in "
            << dtype_name(video.dtype) << "\n"
            << "# expected time: " << clock_text(cost.seconds) << " to render, after loading\n"
            << memory_text(cost.memory, "# ") << "# expected disk: " << megabytes(cost.disk_bytes) << "\n";
  return 0;
}

void report_video(const RenderResult& result, double seconds) {
  const RenderConfig& config = result.config;
  std::printf("%s: %lld frames, %.1f s, %lldx%lld, seed %llu, rendered in %s\n", config.output.c_str(),
              static_cast<long long>(result.frames),
              static_cast<double>(result.frames) / static_cast<double>(config.fps),
              static_cast<long long>(config.width), static_cast<long long>(config.height),
              static_cast<unsigned long long>(*config.seed), clock_text(seconds).c_str());
}

}  // namespace

int run_render(const RenderRequest& request) {
  const auto start = std::chrono::steady_clock::now();
  const RenderConfig config = resolve_resumable(request.layers);
  warn_of_known_issue(request, config.model);
  if (request.dry_run) return print_dry_run(config);
  RenderWatch watch(request);
  try {
    Renderer renderer;
    const RenderResult result = renderer.render(config, watch, watch.token(), {.prompts = watch.prompts()});
    if (result.outcome == RenderOutcome::kStopped) {
      watch.report_interruption();
      return 128 + watch.signal();
    }
    if (result.outcome == RenderOutcome::kAlreadyComplete) {
      if (!request.quiet) std::cout << config.output.string() << " is complete: nothing to do\n";
      return 0;
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    if (!request.quiet) report_video(result, seconds.count());
    watch.end_preview();
    return 0;
  } catch (...) {
    const ErrorReport report = report_error(std::current_exception());
    throw Error(report.status, error_line(report.message, report.remedies, option_of) + watch.resume_hint());
  }
}

}  // namespace flashblock
