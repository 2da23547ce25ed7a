// What a configured film's bits depend on.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <vector>

#include "app/model_file.h"
#include "pipeline/film_identity.h"
#include "pipeline/film_setup.h"
#include "pipeline/render_film.h"

namespace flashblock {

/// The identity of a film on this machine: program, libraries, device, every setting that alters the film, and the
/// files of those `parts` of its model. Their checksums are computed in the background. Throws: Error for files that
/// cannot be read.
FilmIdentity identify_film(const FilmSetup& setup, at::Device device, at::ScalarType dtype,
                           const std::vector<ModelPart>& parts);

/// Whether the file holds weights of the model.
bool is_weights(const IdentityFile& file);

/// The order for a film as `render` makes it: its identity, its metadata, its configuration.
FilmOrder order_film(const FilmSetup& setup, FilmIdentity identity);

}  // namespace flashblock
