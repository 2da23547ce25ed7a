// From the request for an analysis to its configuration and files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "analysis/named_attention.h"
#include "app/analyze_options.h"
#include "render/render.h"
#include "settings/render_config.h"

namespace flashblock {

/// A configuration to analyze, and the files that the analysis writes.
struct AnalysisSetup {
  RenderConfig config;                   ///< its output is the side-by-side video
  std::vector<NamedAttention> policies;  ///< named as on the command line
  std::filesystem::path page, json;
  std::vector<std::filesystem::path> inputs;  ///< files that it reads
};

/// NAME[,KEY=VALUE]..., a refresh policy and keys of `attention`, as settings. Throws: ConfigError.
std::vector<ConfigLayer> policy_layers(const std::string& words);

/// `kind`: fidelity or redundancy, for the names of files. Throws: ConfigError for wrong settings, and for files that
/// exist and may not be replaced; MediaError for a folder that cannot be written.
AnalysisSetup set_up_analysis(const AnalysisRequest& request, const std::string& kind);

/// The video to analyze. Throws: as Renderer::check; ConfigError for a policy that does not fit the model.
CheckedVideo check_analysis(const AnalysisSetup& analysis, Renderer& renderer);

}  // namespace flashblock
