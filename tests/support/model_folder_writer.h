// A whole model on disk with formula weights, for end-to-end tests against the pipeline parity files.
#pragma once

#include <filesystem>

namespace flashblock::testing {

/// Writes the model that a pipeline parity file was computed with into `folder` (created if missing):
/// `transformer.pt` (halves `generator_ema` with wrapped names, the one to use, and `generator` with other weights),
/// `config.json`, `vae.pth` and `model.yaml`, which has no text encoder: replay takes the embedding from the file.
/// Rendering it with `--replay PARITY_FILE` must produce the file's `latents` and `video`.
/// Throws: WeightsError if the parity file cannot be read.
void write_model_folder(const std::filesystem::path& parity_file, const std::filesystem::path& folder);

}  // namespace flashblock::testing
