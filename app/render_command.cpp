#include "app/render_command.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>

#include "app/interrupt.h"
#include "app/model_file.h"
#include "app/output_check.h"
#include "app/sidecar.h"
#include "core/device.h"
#include "core/weight_store.h"
#include "media/film_writer.h"
#include "pipeline/cost_estimate.h"
#include "pipeline/film_setup.h"
#include "pipeline/render_film.h"

namespace flashblock {
namespace {

std::vector<std::filesystem::path> weight_files(const ModelDescription& model, const std::vector<ModelPart>& parts) {
  std::vector<std::filesystem::path> files;
  const auto add = [&](ModelPart part, const WeightsFile& weights) {
    if (std::find(parts.begin(), parts.end(), part) == parts.end()) return;
    const auto store = WeightStore::open(weights.path, weights.entry);
    files.insert(files.end(), store->files().begin(), store->files().end());
  };
  add(ModelPart::kTransformer, model.transformer);
  add(ModelPart::kTextEncoder, model.text_encoder);
  add(ModelPart::kVae, model.vae);
  return files;
}

std::string megabytes(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / 1e6);
  return text;
}

int print_dry_run(const FilmSetup& setup, LoadedModel& model) {
  const CostEstimate cost = estimate_cost(setup, model);
  std::cout << config_yaml(setup.config) << "# film: " << setup.plan.pictures << " pictures in " << setup.plan.blocks
            << " frame blocks, on " << model.device().str() << " in " << dtype_name(model.dtype()) << "\n"
            << "# expected time: " << clock_text(cost.seconds) << " to render, after loading\n"
            << "# expected memory: " << megabytes(cost.host_bytes);
  if (!model.device().is_cpu()) std::cout << ", and " << megabytes(cost.device_bytes) << " on the GPU";
  std::cout << "\n# expected disk: " << megabytes(cost.disk_bytes) << "\n";
  return 0;
}

int report_interruption(const FilmSetup& setup, const FilmResult& result, int signal) {
  const std::string parts = parts_folder(setup.config.output).string();
  std::cerr << "flashblock: interrupted after " << result.counts.blocks_written << " of " << setup.plan.blocks
            << " frame blocks";
  if (result.counts.blocks_written > 0) {
    std::cerr << "; the " << result.pictures << " pictures so far play with: cat '" << parts << "'/init.mp4 '" << parts
              << "'/0*.m4s | ffplay -";
  }
  std::cerr << '\n';
  return 128 + signal;
}

void report_film(const FilmSetup& setup, const FilmResult& result, double seconds) {
  const RenderConfig& config = setup.config;
  std::printf("%s: %lld pictures, %.1f s, %lldx%lld, seed %llu, rendered in %s\n", config.output.c_str(),
              static_cast<long long>(result.pictures),
              static_cast<double>(result.pictures) / static_cast<double>(config.fps),
              static_cast<long long>(config.width), static_cast<long long>(config.height),
              static_cast<unsigned long long>(*config.seed), clock_text(seconds).c_str());
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
  const RenderConfig config = resolve_config(request.layers);
  const std::vector<ModelPart> parts = needed_parts(config);
  check_model_files(config.model, parts);
  const at::Device device = resolve_device(config.device);
  Profile profile;
  LoadedModel model(config.model, device, resolve_dtype(config.dtype, device), profile);
  const FilmSetup setup = set_up_film(config, model.transformer_config());
  check_outputs(setup);
  if (request.dry_run) return print_dry_run(setup, model);

  const WeightChecksums checksums(weight_files(config.model, parts));
  int signal = 0;
  FilmResult result;
  {
    const auto observer = make_progress(request.progress);
    const Interrupt interrupt;
    result = render_film(setup, model, {.tags = film_tags}, profile, *observer, interrupt.token());
    signal = interrupt.signal();
  }
  if (!result.complete) return report_interruption(setup, result, signal);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  write_sidecar({result.config, device, model.dtype(), setup.plan, result, seconds}, profile, checksums);
  if (!request.quiet) report_film(setup, result, seconds);
  return 0;
}

}  // namespace flashblock
