#include "core/file_kind.h"

#include <array>
#include <fstream>
#include <string_view>

namespace flashblock {
namespace {

using namespace std::string_view_literals;

/// Bytes that a format has at a place in its files. Sources: the formats' specifications, and file(1).
struct Signature {
  size_t at;
  std::string_view bytes;
  FileKind kind;
  const char* words;
};

constexpr std::array kSignatures = {
    Signature{8, "{\"", FileKind::kWeights, "a weights file (safetensors)"},  // behind the length of this header
    Signature{0, "PK\x03\x04", FileKind::kWeights, "a zip archive, as torch.save writes weights"},
    Signature{0, "GGUF", FileKind::kWeights, "a weights file (GGUF)"},
    Signature{0, "\x80\x02", FileKind::kWeights, "a pickle, as torch.save wrote weights"},
    Signature{0, "\x89PNG\r\n", FileKind::kImage, "an image (PNG)"},
    Signature{0, "\xff\xd8\xff", FileKind::kImage, "an image (JPEG)"},
    Signature{8, "WEBP", FileKind::kOtherImage, "an image (WebP)"},
    Signature{0, "II*\0"sv, FileKind::kOtherImage, "an image (TIFF)"},
    Signature{0, "MM\0*"sv, FileKind::kOtherImage, "an image (TIFF)"},
    Signature{4, "ftypavif", FileKind::kOtherImage, "an image (AVIF)"},
    Signature{4, "ftypavis", FileKind::kOtherImage, "an image (AVIF)"},
    Signature{4, "ftyphei", FileKind::kOtherImage, "an image (HEIC)"},
    Signature{4, "ftypmif1", FileKind::kOtherImage, "an image (HEIC)"},
    Signature{4, "ftypM4A", FileKind::kSound, "a sound file (M4A)"},
    Signature{4, "ftypqt", FileKind::kVideo, "a video (QuickTime)"},
    Signature{4, "ftyp", FileKind::kVideo, "a video (MP4)"},
    Signature{0, "\x1a\x45\xdf\xa3", FileKind::kVideo, "a video (Matroska)"},
    Signature{8, "AVI ", FileKind::kVideo, "a video (AVI)"},
    Signature{0, "FLV\x01", FileKind::kVideo, "a video (FLV)"},
    Signature{8, "WAVE", FileKind::kSound, "a sound file (WAV)"},
    Signature{0, "fLaC", FileKind::kSound, "a sound file (FLAC)"},
    Signature{0, "OggS", FileKind::kSound, "a sound file (Ogg)"},
    Signature{0, "ID3\x03", FileKind::kSound, "a sound file (MP3)"},
    Signature{0, "ID3\x04", FileKind::kSound, "a sound file (MP3)"},
};

}  // namespace

KnownFile known_file(const std::filesystem::path& file) {
  std::error_code unreadable;
  if (!std::filesystem::is_regular_file(file, unreadable)) return {};
  std::array<char, 32> bytes{};
  std::ifstream stream(file, std::ios::binary);
  stream.read(bytes.data(), bytes.size());
  const std::string_view start(bytes.data(), static_cast<size_t>(stream.gcount()));
  for (const Signature& signature : kSignatures) {
    if (start.size() < signature.at + signature.bytes.size()) continue;
    if (start.substr(signature.at, signature.bytes.size()) != signature.bytes) continue;
    // Before it stands the length of a safetensors header, with zeros in its upper bytes, or RIFF; in text neither.
    if (signature.at == 8 && start[7] != '\0' && !start.starts_with("RIFF")) continue;
    return {signature.kind, signature.words};
  }
  return {};
}

}  // namespace flashblock
