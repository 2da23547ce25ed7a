// What a file is, told by its first bytes, for messages about files given in the wrong place.
#pragma once

#include <filesystem>
#include <string>

namespace flashblock {

/// kOtherImage: of a format that is not read here.
enum class FileKind { kUnknown, kWeights, kImage, kOtherImage, kVideo, kSound };

struct KnownFile {
  FileKind kind = FileKind::kUnknown;
  std::string words;  ///< with its article: "an image (PNG)"; empty if it is not known
};

/// Text, missing files and folders are not known. Reads a few bytes; never throws for what they are.
KnownFile known_file(const std::filesystem::path& file);

}  // namespace flashblock
