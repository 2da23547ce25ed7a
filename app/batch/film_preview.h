// A film at a glance, for the report's gallery.
#pragma once

#include <cstdint>
#include <filesystem>

namespace flashblock {

/// Pictures in a preview, one beside the other.
constexpr int64_t kPreviewPictures = 10;

/// Writes a JPEG with kPreviewPictures of the film's `pictures`, evenly spaced, in a row. A film that cannot be read
/// has none. Throws: MediaError if the file cannot be written.
void write_film_preview(const std::filesystem::path& film, int64_t pictures, const std::filesystem::path& file);

}  // namespace flashblock
