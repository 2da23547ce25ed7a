// From what an analysis is asked to what it works on.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/analyze_options.h"
#include "settings/render_config.h"

namespace flashblock {

/// A refresh policy by the words that chose it.
struct ChosenPolicy {
  std::string name;
  AttentionConfig attention;
};

/// A configuration to analyze, and the files that the analysis leaves.
struct AnalysisSetup {
  RenderConfig config;  ///< its output is the side-by-side video
  std::vector<ChosenPolicy> policies;
  std::filesystem::path page, json;
};

/// Throws: ConfigError for a file that is there and may not be replaced; MediaError for a folder that cannot be
/// written.
void check_analysis_file(const std::filesystem::path& file, bool overwrite);

/// `kind`: fidelity or redundancy, for names of files. Throws: ConfigError for settings that are wrong, and for files
/// that are there and may not be replaced; WeightsError for missing model files; MediaError for a folder that cannot be
/// written.
AnalysisSetup set_up_analysis(const AnalysisRequest& request, const std::string& kind);

}  // namespace flashblock
