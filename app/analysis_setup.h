// From the request for an analysis to its configuration and files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/analyze_options.h"
#include "settings/render_config.h"

namespace flashblock {

/// A refresh policy, named as on the command line.
struct ChosenPolicy {
  std::string name;
  AttentionConfig attention;
};

/// A configuration to analyze, and the files that the analysis writes.
struct AnalysisSetup {
  RenderConfig config;  ///< its output is the side-by-side video
  std::vector<ChosenPolicy> policies;
  std::filesystem::path page, json;
};

/// Throws: ConfigError for a file that exists and may not be replaced; MediaError for a folder that cannot be written.
void check_analysis_file(const std::filesystem::path& file, bool overwrite);

/// `kind`: fidelity or redundancy, for the names of files. Throws: ConfigError for wrong settings, and for files that
/// exist and may not be replaced; WeightsError for missing model files; MediaError for a folder that cannot be written.
AnalysisSetup set_up_analysis(const AnalysisRequest& request, const std::string& kind);

}  // namespace flashblock
