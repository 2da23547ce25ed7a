#include "app/fidelity_command.h"

#include <ATen/core/Tensor.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "analysis/fidelity_report.h"
#include "analysis/side_by_side.h"
#include "app/analysis_setup.h"
#include "app/interrupt.h"
#include "core/atomic_file.h"
#include "core/error.h"
#include "core/html_page.h"
#include "media/jpeg_encoder.h"
#include "render/own_file.h"
#include "render/sidecar.h"

namespace flashblock {
namespace {

std::string bytes_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream bytes;
  if (!(bytes << stream.rdbuf())) throw MediaError("cannot read " + file.string());
  return bytes.str();
}

std::vector<FidelityRun> runs_of(const AnalysisSetup& setup, const FidelityRequest& request) {
  const uint64_t seed = *setup.config.seed;
  const uint64_t other = request.other_seed.value_or(seed + 1);
  if (other == seed)
    throw ConfigError("--other-seed " + std::to_string(other) + " is the seed of the video itself: choose another");
  return fidelity_runs(setup.policies, seed, other);
}

ExistingVideo existing(const RenderConfig& config) {
  return config.overwrite ? ExistingVideo::kReplace : ExistingVideo::kRefuse;
}

/// Writes the side-by-side video. Returns its address in the page.
std::string write_video(const FidelityRequest& request, const RenderSetup& setup, const Fidelity& fidelity) {
  if (request.video == VideoPlace::kNone) return "";
  const RenderConfig& config = setup.config;
  write_side_by_side(fidelity, config.output, video_format(config), existing(config), video_tags(config));
  return request.video == VideoPlace::kInside ? data_uri("video/mp4", bytes_of(config.output))
                                              : config.output.filename().string();
}

}  // namespace

int run_fidelity(const FidelityRequest& request) {
  const AnalysisSetup analysis = set_up_analysis(request.analysis, "fidelity");
  const std::vector<FidelityRun> runs = runs_of(analysis, request);
  Renderer renderer;
  const CheckedVideo checked = check_analysis(analysis, renderer);
  const RenderSetup& setup = checked.setup;
  if (request.video != VideoPlace::kNone) {
    check_report_file(setup.config.output, setup.config.overwrite, analysis.inputs);
    check_video_can_be_written(
        setup.config.output, existing(setup.config),
        static_cast<int64_t>(runs.size()) * estimated_bytes(video_format(setup.config), setup.plan.frames));
  }
  int status = 0;
  const auto fidelity = run_until_interrupted(status, [&](const std::stop_token& stop) {
    const auto observer = make_progress(request.analysis.progress);
    const MotionMeasured motion = request.motion ? MotionMeasured::kYes : MotionMeasured::kNo;
    return measure_fidelity(setup, renderer.model(analysis.config), runs, motion, *observer, stop);
  });
  if (!fidelity) return status;
  const std::string video = write_video(request, setup, *fidelity);
  nlohmann::ordered_json report = fidelity_json(checked, *fidelity);
  write_file_atomically(analysis.json, json_text(report, 1));
  report["stills"] = fidelity_stills(*fidelity, request.stills, setup.config.fps);
  report["video"] = video;
  if (!video.empty()) {
    const at::Tensor middle = side_by_side_frame(*fidelity, setup.plan.frames / 2);
    report["poster"] = data_uri("image/jpeg", encode_jpeg(middle));
  }
  write_page(analysis.page, fidelity_page(), report);
  if (request.analysis.quiet) return 0;
  for (const MeasuredRun& run : fidelity->runs) {
    if (run.run.kind != FidelityRun::Kind::kPolicy) continue;
    std::cout << run.run.name << ": " << fidelity_in_words(*fidelity, run) << '\n';
  }
  std::cout << analysis.page.string() << '\n';
  return 0;
}

}  // namespace flashblock
