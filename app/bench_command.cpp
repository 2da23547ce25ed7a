#include "app/bench_command.h"

#include <stdlib.h>
#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/interrupt.h"
#include "core/atomic_file.h"
#include "core/device.h"
#include "core/error.h"
#include "pipeline/film_benchmark.h"

namespace flashblock {
namespace {

/// A folder of its own under the system's place for temporary files, deleted at the end.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "flashblock-bench-XXXXXX").string();
    if (!mkdtemp(name.data())) throw MediaError("cannot create " + name + ": " + std::strerror(errno));
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

struct Conditions {
  const FilmSetup& setup;
  const LoadedModel& model;
  const FilmBenchmark& measured;
};

std::string policy_name(const AttentionConfig& attention) { return to_string(attention.refresh); }

std::string table(const Conditions& run) {
  const RenderConfig& config = run.setup.config;
  const FilmBenchmark& measured = run.measured;
  char line[256];
  std::snprintf(line, sizeof line,
                "%s, %lldx%lld, window %lld (sink %lld), %lld + 1 passes, %s in %s, %d CPU threads a stage\n",
                config.model.name.c_str(), static_cast<long long>(config.width), static_cast<long long>(config.height),
                static_cast<long long>(measured.window_frames), static_cast<long long>(config.model.recipe.sink_frames),
                static_cast<long long>(measured.passes), run.model.device().str().c_str(),
                dtype_name(run.model.dtype()).c_str(), measured.threads);
  std::string text = line;
  std::snprintf(line, sizeof line, "medians of %zu runs in turn; reuse: %s\n\n%-18s %12s %12s %14s\n",
                measured.times.front().exact.size(), policy_name(config.attention).c_str(), "", "exact", "reuse",
                "exact / reuse");
  text += line;
  for (const PairedTimes& times : measured.times) {
    std::snprintf(line, sizeof line, "%-18s %9.1f ms %9.1f ms %14.2f\n", times.work.c_str(), 1e3 * median(times.exact),
                  1e3 * median(times.reused), median_ratio(times));
    text += line;
  }
  return text;
}

nlohmann::ordered_json json(const Conditions& run) {
  const RenderConfig& config = run.setup.config;
  nlohmann::ordered_json work = nlohmann::ordered_json::object();
  for (const PairedTimes& times : run.measured.times) {
    work[times.work] = {{"exact_seconds", times.exact},
                        {"reuse_seconds", times.reused},
                        {"exact_median", median(times.exact)},
                        {"reuse_median", median(times.reused)},
                        {"ratio", median_ratio(times)}};
  }
  return {{"program", FLASHBLOCK_VERSION},
          {"model", config.model.name},
          {"device", run.model.device().str()},
          {"dtype", dtype_name(run.model.dtype())},
          {"cpu_threads_per_stage", run.measured.threads},
          {"width", config.width},
          {"height", config.height},
          {"window_frames", run.measured.window_frames},
          {"sink_frames", config.model.recipe.sink_frames},
          {"frames_per_block", config.model.recipe.frames_per_block},
          {"denoising_passes", run.measured.passes},
          {"film_frame_blocks", run.setup.plan.blocks},
          {"film_pictures", run.setup.plan.pictures},
          {"refresh", policy_name(config.attention)},
          {"external_attentions_computed_share", run.measured.external_share},
          {"work", work}};
}

}  // namespace

BenchCommand::BenchCommand(CLI::App& app)
    : command_(*app.add_subcommand(
          "bench", "Time attention, transformer and whole films, exact against reused, taking turns in one run")),
      options_(command_) {
  const std::string group = "Benchmark";
  command_.add_option("--rounds", request_.rounds, "Runs of each kind")
      ->type_name("N")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str()
      ->group(group);
  command_
      .add_flag_callback(
          "--no-film", [this] { request_.film = false; }, "Leave out whole films: time attention and transformer only")
      ->group(group);
  command_.add_option("--json", json_, "Write all times to this file")->type_name("FILE.json")->group(group);
  options_.add("--seconds", "seconds", "Length of the films [from the model]", "S")->group("Film");
  options_.add("--size", "size", "Picture size [from the model]", "WxH")->group("Film");
  options_.add_model();
  options_.add_configuration();
}

std::optional<BenchRequest> BenchCommand::request() {
  if (!command_.parsed()) return {};
  request_.json = json_;
  request_.layers = options_.layers();
  request_.layers.push_back(make_config_layer("bench", "prompt", YAML::Node("random numbers")));
  return std::move(request_);
}

int run_bench(const BenchRequest& request) {
  const RenderConfig config = resolve_config(request.layers);
  const at::Device device = resolve_device(config.device);
  Profile profile;
  LoadedModel model(config.model, device, resolve_dtype(config.dtype, device), profile, model_options(config));
  const FilmSetup setup = set_up_film(config, model.transformer_config());
  if (config.attention.mode == AttentionConfig::Mode::kExact) {
    throw ConfigError(
        "attention.mode is exact: bench holds exact attention against reused; leave the mode out, and "
        "name the policy with --set attention.refresh=NAME");
  }
  const ScratchFolder scratch;
  std::optional<FilmBenchmark> measured;
  int signal = 0;
  {
    const Interrupt interrupt;
    measured = run_benchmark(setup, model, {.rounds = request.rounds, .film = request.film, .scratch = scratch.path()},
                             interrupt.token());
    signal = interrupt.signal();
  }
  if (!measured) {
    std::cerr << "flashblock: interrupted; nothing was written\n";
    return 128 + signal;
  }
  const Conditions run{.setup = setup, .model = model, .measured = *measured};
  std::cout << table(run);
  if (!request.json.empty()) write_file_atomically(request.json, json(run).dump(2) + "\n");
  return 0;
}

}  // namespace flashblock
