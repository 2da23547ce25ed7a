// The command line: what it says, and what it means.
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "app/analyze_options.h"
#include "app/batch_command.h"
#include "app/bench_command.h"
#include "app/calibrate_command.h"
#include "app/doctor_command.h"
#include "app/progress.h"
#include "app/serve_command.h"
#include "app/text_command.h"
#include "settings/config_file.h"

namespace flashblock {

/// `flashblock render`.
struct RenderRequest {
  std::vector<ConfigLayer> layers;  ///< configuration file first, then the options
  bool dry_run = false;
  bool expand_only = false;  ///< print the prompts that a language model writes, and render nothing
  bool quiet = false;
  ProgressStyle progress = ProgressStyle::kAuto;
  std::optional<ServerSettings> preview;  ///< watch it while it renders
};

/// `flashblock info PATH`.
struct InfoRequest {
  std::string model;
  std::string size;  ///< WIDTHxHEIGHT of frames, for which the memory is estimated; empty: none
  bool json = false;
};

/// What the user asked for. Exactly one member is set, besides `options`; `text` is to be printed (help, version).
struct Request {
  std::optional<std::string> text;
  std::optional<RenderRequest> render;
  std::optional<ServeRequest> serve;
  std::optional<BatchRequest> batch;
  bool batch_worker = false;        ///< a worker that a batch has started
  std::vector<int> device_process;  ///< descriptors of a process that a render on several devices has started
  std::optional<FidelityRequest> fidelity;
  std::optional<BenchRequest> bench;
  std::optional<RedundancyRequest> redundancy;
  std::optional<CalibrateRequest> calibrate;
  std::optional<InfoRequest> info;
  std::optional<DoctorRequest> doctor;
  std::optional<TextRequest> decode_text;
  std::optional<TextAnalysisRequest> text_analysis;
  std::set<std::string> options;  ///< those of the command, "--seed" say; "--set" if it sets any key of a video
};

/// Throws: ConfigError for unknown or contradictory options; what reading a configuration file throws.
Request parse_command_line(int argc, const char* const* argv);

}  // namespace flashblock
