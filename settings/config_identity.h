// What a configuration has to do with the identity of its video, its model and its files: loops over the settings
// table.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "settings/render_config.h"

namespace flashblock {

/// Keys whose values alter the video, and these values as text, in the order of the table. Secrets are digests
/// (`sha256:...`) if `metadata` is off. Keys that IdentityRole::kResolved marks are left to the caller.
std::vector<std::pair<std::string, std::string>> identity_facts(const RenderConfig& config);

/// Keys that name files whose contents alter the video, and these files.
std::vector<std::pair<std::string, std::filesystem::path>> identity_files(const RenderConfig& config);

/// Videos whose configurations give the same key can share a loaded model.
std::string model_key(const RenderConfig& config);

/// All files that a video is made from, with the keys that name them: those of the settings, the model's, and the files
/// that the settings were read from.
std::vector<std::pair<std::string, std::filesystem::path>> input_files(const RenderConfig& config);

/// The files that the configuration names for output.
std::vector<std::filesystem::path> output_files(const RenderConfig& config);

/// The configuration without its secrets if `metadata` is off.
RenderConfig without_secrets(RenderConfig config);

}  // namespace flashblock
