#include "app/batch/finished_film.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>

#include "app/film_identity.h"
#include "app/sidecar.h"
#include "core/error.h"
#include "media/film_writer.h"

namespace flashblock {
namespace {

/// The identity without what only continuing a film depends on: a finished one may come from another machine.
FilmIdentity wanted_part(FilmIdentity identity, bool any_dtype) {
  constexpr std::array kMachine = {"program", "libtorch", "media libraries", "device", "threads"};
  std::erase_if(identity.facts, [&](const auto& fact) {
    const bool of_machine = std::find(kMachine.begin(), kMachine.end(), fact.first) != kMachine.end();
    return of_machine || (any_dtype && fact.first == "dtype");
  });
  return identity;
}

/// What NAME.json says of the film. Throws: ConfigError if that is nothing.
FilmIdentity told_identity(const std::filesystem::path& film) {
  const std::filesystem::path account = sidecar_file(film);
  std::ifstream stream(account, std::ios::binary);
  const auto json = nlohmann::ordered_json::parse(stream, nullptr, /*allow_exceptions=*/false);
  const bool told = json.is_object() && json.contains("identity");
  return parse_identity(told ? json["identity"].dump() : "", film.string() + " is complete, but " + account.string());
}

}  // namespace

bool is_film_finished(const BatchFilm& film) {
  const RenderConfig& config = film.config;
  if (film_state(config.output) != FilmState::kComplete) return false;
  try {
    const bool any_dtype = config.dtype == "auto";
    const FilmIdentity there = wanted_part(told_identity(config.output), any_dtype);
    FilmIdentity here = wanted_part(film.identity, any_dtype);
    std::string differences = difference(there, here);
    if (differences.empty()) return true;
    here.checksums = start_checksums(here, config);  // files that were touched may still be the same
    differences = difference(there, here);
    if (differences.empty()) return true;
    throw ConfigError(config.output.string() + " is there and is another film (" + differences +
                      "): remove it, give the job another output, or say overwrite: true");
  } catch (const ConfigError&) {
    if (config.overwrite) return false;
    throw;
  }
}

}  // namespace flashblock
