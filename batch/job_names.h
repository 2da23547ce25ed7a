// Names of a batch's videos and of their files.
#pragma once

#include <optional>
#include <string>

#include "settings/strict_yaml.h"

namespace flashblock {

/// The parts of a video's name: its job, its row in a prompt list, its seed.
struct VideoName {
  std::string job;
  std::string row;   ///< empty: the job has no prompt list
  std::string seed;  ///< empty: the job has no list of seeds

  /// JOB, JOB-ROW, JOB-SEED or JOB-ROW-SEED; unique within a batch.
  std::string whole() const;
};

/// Throws: ConfigError that names `place`, unless the name can be part of a file name.
void check_name(const std::string& name, const YamlValue& place);

/// Replaces {name}, {job}, {row} and {seed} in a path. {name} is the video's whole name, without the parts that have
/// their own placeholder in the template: `{name}/{seed}.mp4` is `storm/1.mp4`, `{name}.mp4` is `storm-1.mp4`.
/// `seed`: the video's, even if its job has only one. Throws: ConfigError that names `place` for other placeholders.
std::string expand_template(const YamlValue& place, const VideoName& name, const std::string& seed);

/// The seed of a video without one: derived from its name, so that every run of a batch uses the same.
uint64_t seed_from_name(const std::string& name);

}  // namespace flashblock
