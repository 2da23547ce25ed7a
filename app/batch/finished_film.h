// Which films of a batch are there already.
#pragma once

#include "app/batch/jobs_file.h"

namespace flashblock {

/// Whether the film's output is there, complete, and made from the film's settings and files, on whatever machine.
/// Throws: ConfigError if a complete film of other settings is there and config.overwrite is off.
bool is_film_finished(const BatchFilm& film);

}  // namespace flashblock
