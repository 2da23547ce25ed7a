// Jobs files: many films in one YAML file. Format: docs/batch.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "app/batch/film_record.h"
#include "app/config_file.h"
#include "pipeline/film_identity.h"

namespace flashblock {

/// One film of a batch.
struct BatchFilm {
  std::string name;  ///< no two films of a batch share it
  std::string job;
  std::string place;                ///< FILE:LINE of its job, or of its row in a list
  std::vector<ConfigLayer> layers;  ///< what the files say of it
  /// Why it cannot be rendered; found in the files, or by check_films.
  std::optional<FilmFault> fault;

  // From here on check_films' findings.
  RenderConfig config;
  std::string model_key;  ///< films with the same key share a loaded model
  FilmIdentity identity;  ///< on this machine, without checksums
  int64_t blocks = 0;
  int64_t pictures = 0;
};

/// Reads a jobs file and the lists that it names, and makes jobs into films. A job that is wrong becomes a film with a
/// fault. Throws: ConfigError if the file as a whole is of no use: no YAML, unknown keys, wrong defaults, no jobs.
std::vector<BatchFilm> read_jobs_file(const std::filesystem::path& file);

/// What a film's fault says of `error`, with the film's place in front where the message has none.
FilmFault fault_at(const std::string& place, int status, const std::string& message);

}  // namespace flashblock
