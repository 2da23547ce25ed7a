// Reads the directory of a zip file with uncompressed entries, as torch.save writes them.
// Source: PKWARE APPNOTE 6.3.9, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.14 to 4.3.16 (its end).
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "core/mapped_file.h"

namespace flashblock {

/// Entries of a zip file by name, as views of the mapped file. Zip64 is supported.
/// Throws: WeightsError if the directory is missing (a truncated file), if an entry is compressed, encrypted or outside
/// the file, or if a name appears twice.
std::map<std::string, std::span<const std::byte>> read_zip_directory(const MappedFile& file);

}  // namespace flashblock
