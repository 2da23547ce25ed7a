// Published checkpoints, known by the names of their files: nothing inside says how they were trained.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace flashblock {

/// What is known of a transformer's file.
struct KnownCheckpoint {
  std::vector<std::string> presets;  ///< of configs/models, that fit its name and width
  std::vector<std::string> notes;    ///< what a user should know, one sentence each
};

/// `dim` is the transformer's width; 0 if it is not known.
KnownCheckpoint recognize_checkpoint(const std::filesystem::path& path, int64_t dim);

/// Why a video made with this file as transformer would be poor whatever the recipe: a stage of training, or a model of
/// another algorithm; empty if nothing of the kind is known. One sentence.
std::string doubt_about(const std::filesystem::path& path);

/// A release: what the last three names of its path contain (in lower case, `_` for `-`, `.` and `+`), and its preset.
struct PresetOfFile {
  const char* part;
  const char* preset;
  int64_t dim;
};
std::span<const PresetOfFile> presets_of_files();

}  // namespace flashblock
