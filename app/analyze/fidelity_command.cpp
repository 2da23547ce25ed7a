#include "app/analyze/fidelity_command.h"

#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>

#include "app/analyze/analysis_setup.h"
#include "app/analyze/fidelity_report.h"
#include "app/html/page.h"
#include "app/interrupt.h"
#include "app/sidecar.h"
#include "core/atomic_file.h"
#include "core/device.h"
#include "core/error.h"
#include "pipeline/analysis/side_by_side.h"
#include "pipeline/film_setup.h"

namespace flashblock {
namespace {

std::string bytes_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream bytes;
  if (!(bytes << stream.rdbuf())) throw MediaError("cannot read " + file.string() + " again");
  return bytes.str();
}

std::vector<FidelityRun> runs_of(const AnalysisSetup& setup, const FidelityRequest& request) {
  std::vector<FidelityRun> policies;
  for (const ChosenPolicy& policy : setup.policies) {
    policies.push_back({.name = policy.name, .attention = policy.attention});
  }
  const uint64_t seed = *setup.config.seed;
  const uint64_t other = request.other_seed.value_or(seed + 1);
  if (other == seed) throw ConfigError("--other-seed " + std::to_string(other) + " is the film's own: give another");
  return fidelity_runs(policies, seed, other);
}

FilmFormat film_format(const RenderConfig& config) {
  return {.width = config.width, .height = config.height, .fps = config.fps, .encoder = config.encoder};
}

ExistingFilm existing(const RenderConfig& config) {
  return config.overwrite ? ExistingFilm::kReplace : ExistingFilm::kRefuse;
}

/// Where the page finds the film, which is written first.
std::string write_film(const FidelityRequest& request, const FilmSetup& setup, const Fidelity& fidelity) {
  if (request.film == FilmPlace::kNone) return "";
  const RenderConfig& config = setup.config;
  write_side_by_side(fidelity, config.output, film_format(config), existing(config), film_tags(config));
  return request.film == FilmPlace::kInside ? data_uri("video/mp4", bytes_of(config.output))
                                            : config.output.filename().string();
}

}  // namespace

int run_fidelity(const FidelityRequest& request) {
  const AnalysisSetup analysis = set_up_analysis(request.analysis, "fidelity");
  const std::vector<FidelityRun> runs = runs_of(analysis, request);
  const at::Device device = resolve_device(analysis.config.device);
  Profile profile;
  LoadedModel model(analysis.config.model, device, resolve_dtype(analysis.config.dtype, device), profile,
                    model_options(analysis.config));
  const FilmSetup setup = set_up_film(analysis.config, model.transformer_config());
  for (const ChosenPolicy& policy : analysis.policies) {
    check_attention(policy.attention, analysis.config.model.recipe, model.transformer_config());
  }
  if (request.film != FilmPlace::kNone) {
    check_film_can_be_written(
        setup.config.output, existing(setup.config),
        static_cast<int64_t>(runs.size()) * estimated_bytes(film_format(setup.config), setup.plan.pictures));
  }
  std::optional<Fidelity> fidelity;
  int signal = 0;
  {
    const auto observer = make_progress(request.analysis.progress);
    const Interrupt interrupt;
    fidelity = measure_fidelity(setup, model, runs, profile, *observer, interrupt.token());
    signal = interrupt.signal();
  }
  if (!fidelity) {
    std::cerr << "flashblock: interrupted; nothing was written\n";
    return 128 + signal;
  }
  const std::string film = write_film(request, setup, *fidelity);
  const FidelityReport report{.setup = setup,
                              .fidelity = *fidelity,
                              .device = device.str(),
                              .dtype = dtype_name(model.dtype()),
                              .film = film,
                              .stills = request.stills};
  write_file_atomically(analysis.json, fidelity_json(report));
  write_file_atomically(analysis.page, fidelity_page(report));
  if (request.analysis.quiet) return 0;
  for (const MeasuredRun& run : fidelity->runs) {
    if (run.run.kind != FidelityRun::Kind::kPolicy) continue;
    std::cout << run.run.name << ": " << fidelity_words(report, run) << '\n';
  }
  std::cout << analysis.page.string() << '\n';
  return 0;
}

}  // namespace flashblock
