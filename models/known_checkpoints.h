// Published checkpoints, recognized by file name: nothing in the file says how they were trained.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace flashblock {

/// What is known about a transformer's file.
struct KnownCheckpoint {
  std::vector<std::string> presets;  ///< in configs/models, matching its name and width
  std::vector<std::string> notes;    ///< what a user should know, one sentence each
};

/// `dim` is the transformer's width; 0 if it is not known.
KnownCheckpoint recognize_checkpoint(const std::filesystem::path& path, int64_t dim);

/// The known issue that makes videos of this transformer poor with every recipe: an intermediate training stage, or a
/// model of another algorithm. One sentence; empty if there is none.
std::string known_issue(const std::filesystem::path& path);

/// A release: a part of the last three components of its path (lower case, `_` for `-`, `.` and `+`), and its preset.
struct PresetOfFile {
  const char* part;
  const char* preset;
  int64_t dim;
};
std::span<const PresetOfFile> presets_of_files();

}  // namespace flashblock
