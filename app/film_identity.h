// What a configured film's bits depend on.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <memory>
#include <vector>

#include "app/model_file.h"
#include "pipeline/film_identity.h"
#include "pipeline/film_setup.h"
#include "pipeline/render_film.h"

namespace flashblock {

/// The identity of a film on this machine: program, libraries, device, every setting that alters the film, and the
/// files of those `parts` of its model, without their checksums. Throws: Error for files that cannot be read.
FilmIdentity describe_film(const FilmSetup& setup, at::Device device, at::ScalarType dtype,
                           const std::vector<ModelPart>& parts);

/// The same with the checksums, which are computed in the background.
FilmIdentity identify_film(const FilmSetup& setup, at::Device device, at::ScalarType dtype,
                           const std::vector<ModelPart>& parts);

/// The checksums of its files, which are computed in the background; `config` says whether known ones are kept.
std::shared_ptr<const FileChecksums> start_checksums(const FilmIdentity& identity, const RenderConfig& config);

/// Whether the file holds weights of the model.
bool is_weights(const IdentityFile& file);

/// The order for a film as `render` makes it: its identity, its metadata, its configuration.
FilmOrder order_film(const FilmSetup& setup, FilmIdentity identity);

}  // namespace flashblock
