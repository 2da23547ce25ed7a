// What a film leaves beside its pictures: tags inside NAME.mp4, and NAME.json.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <filesystem>
#include <map>
#include <string>

#include "core/profile.h"
#include "pipeline/film_identity.h"
#include "pipeline/render_config.h"
#include "pipeline/render_film.h"

namespace flashblock {

/// The configuration as it is told to others: without the prompts if `metadata` is off, and without what was to become
/// of files that were there.
RenderConfig told_config(RenderConfig config);

/// The film's metadata: prompt, seed, model, program and configuration.
std::map<std::string, std::string> film_tags(const RenderConfig& config);

/// NAME.json of NAME.mp4.
std::filesystem::path sidecar_file(const std::filesystem::path& film);

/// How a film was made, for its NAME.json.
struct FilmAccount {
  RenderConfig config;
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
  FilmPlan plan;
  FilmResult result;
  double seconds = 0;  ///< wall-clock time of the whole run
};

/// `identity` is the film's, with checksums being computed. Throws: MediaError if the file cannot be written.
void write_sidecar(const FilmAccount& account, const Profile& profile, const FilmIdentity& identity);

}  // namespace flashblock
