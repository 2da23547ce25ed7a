// Names of a batch's videos, and of the files they go to.
#pragma once

#include <optional>
#include <string>

#include "settings/strict_yaml.h"

namespace flashblock {

/// What a video is called by: its job, its row in a list of prompts, its seed among several.
struct VideoName {
  std::string job;
  std::string row;   ///< empty: the job has no list
  std::string seed;  ///< empty: the job has no list of seeds

  /// JOB, JOB-ROW, JOB-SEED or JOB-ROW-SEED: no two videos of a batch share it.
  std::string whole() const;
};

/// Throws: ConfigError through `place` unless the name can be part of a file's name.
void check_name(const std::string& name, const YamlValue& place);

/// Fills in the places {name}, {job}, {row} and {seed} of a path. {name} is the video's whole name, but for what the
/// template has a place of its own for: `{name}/{seed}.mp4` is `storm/1.mp4`, and `{name}.mp4` is `storm-1.mp4`.
/// `seed` is the video's, whether or not the job has several. Throws: ConfigError through `place` for other places.
std::string expand_template(const YamlValue& place, const VideoName& name, const std::string& seed);

/// The seed of a video that gives none: one and the same for a name, so that a batch can be taken up again.
uint64_t seed_from_name(const std::string& name);

}  // namespace flashblock
