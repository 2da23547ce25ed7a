#include "app/render_command.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>

#include "app/memory_text.h"
#include "app/render_watch.h"
#include "core/device.h"
#include "core/error_report.h"
#include "media/video_writer.h"
#include "models/known_checkpoints.h"
#include "render/cost_estimate.h"
#include "render/describe_video.h"
#include "render/output_check.h"
#include "render/render.h"
#include "render/render_setup.h"
#include "render/resume.h"
#include "render/sidecar.h"
#include "server/preview.h"
#include "settings/model_file.h"

namespace flashblock {
namespace {

/// A model that loads and can only disappoint is better known before an hour of rendering.
void warn_of_model(const RenderRequest& request, const ModelDescription& model) {
  if (request.quiet || request.progress == ProgressStyle::kJson) return;
  const std::string issue = known_issue(model.transformer.path);
  if (!issue.empty()) std::cerr << "flashblock: warning: " << model.transformer.path.string() << ": " << issue << '\n';
}

/// How long viewers may take for the rest of a video that is finished.
constexpr std::chrono::seconds kPreviewLinger{10};

int print_dry_run(const RenderSetup& setup, LoadedModel& model) {
  const CostEstimate cost = estimate_cost(setup, model);
  std::cout << config_yaml(setup.config) << "# video: " << setup.plan.frames << " frames in " << setup.plan.blocks
            << " frame blocks, on " << model.device().str() << " in " << dtype_name(model.dtype()) << "\n"
            << "# expected time: " << clock_text(cost.seconds) << " to render, after loading\n"
            << memory_text(cost.memory, "# ") << "# expected disk: " << megabytes(cost.disk_bytes) << "\n";
  return 0;
}

void report_video(const RenderSetup& setup, const RenderResult& result, double seconds) {
  const RenderConfig& config = setup.config;
  std::printf("%s: %lld frames, %.1f s, %lldx%lld, seed %llu, rendered in %s\n", config.output.c_str(),
              static_cast<long long>(result.frames),
              static_cast<double>(result.frames) / static_cast<double>(config.fps),
              static_cast<long long>(config.width), static_cast<long long>(config.height),
              static_cast<unsigned long long>(*config.seed), clock_text(seconds).c_str());
}

std::unique_ptr<Preview> start_preview(const RenderRequest& request, const RenderSetup& setup) {
  if (!request.preview) return nullptr;
  auto preview = std::make_unique<Preview>(*request.preview, setup);
  if (!request.quiet) std::cerr << "flashblock: watch it at " << preview->url() << std::endl;
  return preview;
}

}  // namespace

int run_render(const RenderRequest& request) {
  const auto start = std::chrono::steady_clock::now();
  const RenderConfig config = resolve_resumable(request.layers);
  const std::vector<ModelPart> parts = needed_parts(config);
  check_model_files(config.model, parts);
  warn_of_model(request, config.model);
  const at::Device device = resolve_device(config.device);
  Profile profile;
  LoadedModel model(config.model, device, resolve_dtype(config.dtype, device), profile, model_options(config));
  const RenderSetup setup = set_up_render(config, model.transformer_config());
  if (request.dry_run) {
    check_outputs(setup);
    return print_dry_run(setup, model);
  }
  RenderOrder order = order_video(setup, identify_video(setup, device, model.dtype(), parts));
  if (config.resume && find_video(config.output, order.identity) == VideoState::kComplete) {
    remove_leftovers(config.output);
    if (!request.quiet) std::cout << config.output.string() << " is complete: nothing to do\n";
    return 0;
  }
  check_outputs(setup);
  const std::unique_ptr<Preview> preview = start_preview(request, setup);
  if (preview) order.prompts = preview->prompts();
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  const auto write_account = [&](const RenderResult& result) {
    write_sidecar({result.config, device, model.dtype(), setup.plan, result, seconds()}, profile, order.identity);
  };
  const auto progress = make_progress(request.progress);
  auto watched = preview ? preview->observe(*progress) : nullptr;
  RenderWatch watch(setup, watched ? *watched : *progress, write_account);
  try {
    const RenderResult result = render_video(setup, model, order, profile, watch, watch.token());
    if (!result.complete) {
      watch.report_interruption();
      return 128 + watch.signal();
    }
    if (!request.quiet) report_video(setup, result, seconds());
    watched.reset();  // its stream ends
    if (preview) preview->end(kPreviewLinger, watch.token());
    return 0;
  } catch (...) {
    const ErrorReport report = report_error(std::current_exception());
    throw Error(report.status, report.line + resume_hint(setup.config));
  }
}

}  // namespace flashblock
