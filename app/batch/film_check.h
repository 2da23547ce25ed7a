// Everything about a batch's films that can be checked before the first one starts.
#pragma once

#include <vector>

#include "app/batch/jobs_file.h"

namespace flashblock {

/// Resolves every film's configuration and checks it against its model, without reading weights. Films that cannot be
/// rendered get a fault. Two films that go to one file: the second one has a fault.
void check_films(std::vector<BatchFilm>& films);

/// Positions of `films` in the order in which they are to be rendered: films of one model together, models in the
/// order in which they first appear.
std::vector<size_t> render_order(const std::vector<BatchFilm>& films);

}  // namespace flashblock
