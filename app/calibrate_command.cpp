#include "app/calibrate_command.h"

#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "analysis/calibration.h"
#include "app/interrupt.h"
#include "app/option_group.h"
#include "core/error.h"
#include "models/linear_calibration.h"
#include "render/own_file.h"
#include "render/render.h"
#include "settings/config_identity.h"

namespace flashblock {
namespace {

/// What is rendered unless the command line says otherwise: three frame blocks of most models under each prompt.
std::vector<ConfigLayer> default_layers() {
  const nlohmann::ordered_json settings = {{"prompt", "a red boat on the sea at sunset"}, {"seed", 1}, {"frames", 45}};
  return {make_config_layer("calibrate", settings)};
}

/// The configuration of the video that is rendered: with linears in the dtype.
RenderConfig configuration(const CalibrateRequest& request) {
  std::vector<ConfigLayer> layers = default_layers();
  layers.insert(layers.end(), request.layers.begin(), request.layers.end());
  RenderConfig config = resolve_config(layers);
  if (config.precision.linears != LinearPrecision::kNative)
    throw ConfigError("the inputs of int8 linears are sampled in a video without them: leave out precision");
  if (config.offload) throw ConfigError("calibration needs all layers in memory", {.key = "offload"});
  config.standard_output = "-";  // it leaves no video
  config.output = std::filesystem::current_path() / (std::string("calibration") + kStreamEnding);
  config.contact_sheet.clear();
  config.record.clear();
  return config;
}

/// `request.output`, or MODEL.calibration.safetensors.
std::filesystem::path output_of(const CalibrateRequest& request, const RenderConfig& config) {
  if (request.output.empty()) return std::filesystem::current_path() / (config.model.name + ".calibration.safetensors");
  if (request.output.extension() != ".safetensors")
    throw ConfigError("--output " + request.output.string() + ": wanted a name that ends in .safetensors");
  return std::filesystem::absolute(request.output);
}

void print(const Calibration& calibration) {
  std::printf("%-10s %8s %10s %14s %11s\n", "linear", "layers", "smoothed", "error before", "after");
  for (const CalibratedLinears& kind : calibration.kinds)
    std::printf("%-10s %8lld %10lld %13.2f%% %10.2f%%\n", kind.name.c_str(), static_cast<long long>(kind.layers),
                static_cast<long long>(kind.smoothed), 100 * kind.error_without, 100 * kind.error_with);
}

}  // namespace

CalibrateCommand::CalibrateCommand(CLI::App& app)
    : command_(*app.add_subcommand("calibrate",
                                   "Render a short video and find the channels that int8 linears should treat apart: a "
                                   "small file for precision.calibration")),
      options_(command_) {
  command_.add_option("MODEL", model_, "The model: as --model of render")->required();
  const OptionGroup calibration(command_, "Calibration");
  calibration.add("-o,--output", request_.output, "FILE.safetensors",
                  "The calibration [MODEL.calibration.safetensors, after the model's name]");
  for (const char* key : {"prompt", "timeline", "frames", "size", "seed", "device", "dtype", "lora", "overwrite"})
    options_.add_key(key);
  options_.add_configuration();
  add_progress({command_, "Run"}, request_.quiet, request_.progress);
}

std::optional<CalibrateRequest> CalibrateCommand::request() {
  if (!command_.parsed()) return {};
  request_.layers = options_.layers();
  request_.layers.push_back(make_config_layer("MODEL", "model", nlohmann::ordered_json(model_)));
  if (request_.quiet) request_.progress = ProgressStyle::kNone;
  return std::move(request_);
}

int run_calibrate(const CalibrateRequest& request) {
  const RenderConfig config = configuration(request);
  const std::filesystem::path output = output_of(request, config);
  std::vector<std::filesystem::path> inputs;
  for (const auto& [key, path] : input_files(config)) inputs.push_back(path);
  check_report_file(output, config.overwrite, inputs);
  Renderer renderer;
  const CheckedVideo video = renderer.check(config);
  int status = 0;
  const auto calibration = run_until_interrupted(status, [&](const std::stop_token& stop) {
    const auto observer = make_progress(request.progress);
    return calibrate(video.setup, renderer.model(config), *observer, stop);
  });
  if (!calibration) return status;
  write_calibration(output, calibration->linears, config.model.name, "flashblock " FLASHBLOCK_VERSION);
  if (request.quiet) return 0;
  print(*calibration);
  std::cout << output.string() << '\n';
  return 0;
}

}  // namespace flashblock
