#include "app/render_command.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>

#include "app/error_report.h"
#include "app/film_identity.h"
#include "app/film_watch.h"
#include "app/memory_text.h"
#include "app/model_file.h"
#include "app/output_check.h"
#include "app/resume.h"
#include "app/server/preview.h"
#include "app/sidecar.h"
#include "core/device.h"
#include "media/film_writer.h"
#include "pipeline/cost_estimate.h"
#include "pipeline/film_setup.h"
#include "pipeline/known_checkpoints.h"
#include "pipeline/render_film.h"

namespace flashblock {
namespace {

/// A model that loads and can only disappoint is better known before an hour of rendering.
void warn_of_model(const RenderRequest& request, const ModelDescription& model) {
  if (request.quiet || request.progress == ProgressStyle::kJson) return;
  const std::string doubt = doubt_about(model.transformer.path);
  if (!doubt.empty()) std::cerr << "flashblock: warning: " << model.transformer.path.string() << ": " << doubt << '\n';
}

/// How long viewers may take for the rest of a film that is finished.
constexpr std::chrono::seconds kPreviewLinger{10};

int print_dry_run(const FilmSetup& setup, LoadedModel& model) {
  const CostEstimate cost = estimate_cost(setup, model);
  std::cout << config_yaml(setup.config) << "# film: " << setup.plan.pictures << " pictures in " << setup.plan.blocks
            << " frame blocks, on " << model.device().str() << " in " << dtype_name(model.dtype()) << "\n"
            << "# expected time: " << clock_text(cost.seconds) << " to render, after loading\n"
            << memory_text(cost.memory, "# ") << "# expected disk: " << megabytes(cost.disk_bytes) << "\n";
  return 0;
}

void report_film(const FilmSetup& setup, const FilmResult& result, double seconds) {
  const RenderConfig& config = setup.config;
  std::printf("%s: %lld pictures, %.1f s, %lldx%lld, seed %llu, rendered in %s\n", config.output.c_str(),
              static_cast<long long>(result.pictures),
              static_cast<double>(result.pictures) / static_cast<double>(config.fps),
              static_cast<long long>(config.width), static_cast<long long>(config.height),
              static_cast<unsigned long long>(*config.seed), clock_text(seconds).c_str());
}

std::unique_ptr<Preview> start_preview(const RenderRequest& request, const FilmSetup& setup) {
  if (!request.preview) return nullptr;
  auto preview = std::make_unique<Preview>(*request.preview, setup);
  if (!request.quiet) std::cerr << "flashblock: watch it at " << preview->url() << std::endl;
  return preview;
}

}  // namespace

std::vector<ModelPart> needed_parts(const RenderConfig& config) {
  std::vector<ModelPart> parts = {ModelPart::kTransformer, ModelPart::kVae};
  bool tokenize = true, encode = true;
  if (!config.replay.empty()) {
    const FilmReplay replay(config.replay);
    tokenize = replay.prompts().empty();
    encode = tokenize || std::any_of(replay.prompts().begin(), replay.prompts().end(),
                                     [](const EncodedPrompt& prompt) { return !prompt.embedding.defined(); });
    const bool negative = config.model.recipe.guidance_scale != 1.0 && !replay.negative_embedding().defined();
    tokenize = tokenize || negative;
    encode = encode || negative;
  }
  if (tokenize) parts.push_back(ModelPart::kTokenizer);
  if (encode) parts.push_back(ModelPart::kTextEncoder);
  return parts;
}

int run_render(const RenderRequest& request) {
  const auto start = std::chrono::steady_clock::now();
  const RenderConfig config = resolve_resumable(request.layers);
  const std::vector<ModelPart> parts = needed_parts(config);
  check_model_files(config.model, parts);
  warn_of_model(request, config.model);
  const at::Device device = resolve_device(config.device);
  Profile profile;
  LoadedModel model(config.model, device, resolve_dtype(config.dtype, device), profile, model_options(config));
  const FilmSetup setup = set_up_film(config, model.transformer_config());
  if (request.dry_run) {
    check_outputs(setup);
    return print_dry_run(setup, model);
  }
  FilmOrder order = order_film(setup, identify_film(setup, device, model.dtype(), parts));
  if (config.resume && find_film(config.output, order.identity) == FilmState::kComplete) {
    remove_leftovers(config.output);
    if (!request.quiet) std::cout << config.output.string() << " is complete: nothing to do\n";
    return 0;
  }
  check_outputs(setup);
  const std::unique_ptr<Preview> preview = start_preview(request, setup);
  if (preview) order.prompts = preview->prompts();
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  const auto write_account = [&](const FilmResult& result) {
    write_sidecar({result.config, device, model.dtype(), setup.plan, result, seconds()}, profile, order.identity);
  };
  const auto progress = make_progress(request.progress);
  auto watched = preview ? preview->observe(*progress) : nullptr;
  FilmWatch watch(setup, watched ? *watched : *progress, write_account);
  try {
    const FilmResult result = render_film(setup, model, order, profile, watch, watch.token());
    if (!result.complete) {
      watch.report_interruption();
      return 128 + watch.signal();
    }
    if (!request.quiet) report_film(setup, result, seconds());
    watched.reset();  // its stream ends
    if (preview) preview->end(kPreviewLinger, watch.token());
    return 0;
  } catch (...) {
    const ErrorReport report = report_error(std::current_exception());
    throw Error(report.status, report.line + resume_hint(setup.config));
  }
}

}  // namespace flashblock
