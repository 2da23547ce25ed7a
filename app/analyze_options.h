// The command line of `flashblock analyze`, and the requests that it makes.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "analysis/redundancy.h"
#include "app/config_options.h"
#include "app/progress.h"
#include "app/text_analysis_command.h"
#include "settings/config_file.h"

namespace flashblock {

/// What all analyses have in common.
struct AnalysisRequest {
  std::vector<ConfigLayer> layers;
  std::vector<std::string> policies;  ///< NAME[,KEY=VALUE]...; none: the policy of the configuration
  std::filesystem::path page;         ///< NAME.html; empty: named after the video
  bool quiet = false;
  ProgressStyle progress = ProgressStyle::kAuto;
};

/// Where the side-by-side video is placed.
enum class VideoPlace {
  kInside,  ///< in the page, and beside it
  kBeside,  ///< beside the page, which plays it from there
  kNone,
};

/// `flashblock analyze fidelity`.
struct FidelityRequest {
  AnalysisRequest analysis;
  std::optional<uint64_t> other_seed;  ///< of the ceiling; none: seed + 1
  VideoPlace video = VideoPlace::kInside;
  int64_t stills = 6;   ///< images of each run in the page
  bool motion = false;  ///< measure the motion amplitude
};

/// `flashblock analyze redundancy`.
struct RedundancyRequest {
  AnalysisRequest analysis;
  std::filesystem::path gate;  ///< where the published gate is written, FILE.yaml; empty: nowhere
  GateThresholds thresholds;
  bool points = false;  ///< measure error against work for all policies at many settings
};

/// The command line of the analyses.
class AnalyzeOptions {
 public:
  explicit AnalyzeOptions(CLI::App& app);

  /// The request, to be called once after parsing; at most one is set. Throws: ConfigError.
  std::optional<FidelityRequest> fidelity();
  std::optional<RedundancyRequest> redundancy();
  std::optional<TextAnalysisRequest> text() { return text_.request(); }

 private:
  /// Options that all analyses have.
  struct Common {
    explicit Common(CLI::App& command);
    AnalysisRequest request();

    CLI::App& command;
    ConfigOptions options;
    OptionGroup group;
    AnalysisRequest asked;
  };

  void add_redundancy();

  CLI::App& analyze_;
  Common redundancy_;
  Common fidelity_;
  TextAnalysisCommand text_;
  FidelityRequest fidelity_request_;
  RedundancyRequest redundancy_request_;
};

}  // namespace flashblock
