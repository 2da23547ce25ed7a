// `flashblock calibrate`.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "app/config_options.h"
#include "app/progress.h"
#include "settings/config_file.h"

namespace flashblock {

struct CalibrateRequest {
  std::vector<ConfigLayer> layers;
  std::filesystem::path output;  ///< FILE.safetensors; empty: named after the model
  bool quiet = false;
  ProgressStyle progress = ProgressStyle::kAuto;
};

/// The command line of `calibrate`.
class CalibrateCommand {
 public:
  explicit CalibrateCommand(CLI::App& app);

  /// The request, to be called once after parsing. Throws: ConfigError.
  std::optional<CalibrateRequest> request();

 private:
  CLI::App& command_;
  ConfigOptions options_;
  CalibrateRequest request_;
  std::string model_;
};

/// Renders, writes the file and prints what it changes; returns the program's exit status. Throws: Error.
int run_calibrate(const CalibrateRequest& request);

}  // namespace flashblock
