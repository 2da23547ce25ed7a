// The films of an analysis, side by side.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "media/film_format.h"
#include "media/film_writer.h"
#include "pipeline/analysis/fidelity.h"

namespace flashblock {

/// Picture number `picture` of a run, made small. Shape: [h, w, 3] uint8.
at::Tensor thumbnail_at(const MeasuredRun& run, int64_t picture);

/// Writes one film that shows all runs at once, each under its name. `format`: its picture size does not count.
/// Throws: ConfigError if the film exists and may not be replaced; MediaError.
void write_side_by_side(const Fidelity& fidelity, const std::filesystem::path& film, FilmFormat format,
                        ExistingFilm existing, const std::map<std::string, std::string>& tags);

}  // namespace flashblock
