// Data stored beside a segment: checksums, and the state that rendering needs to continue after it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace flashblock {

/// Tensors and texts of a segment; opaque to the writer.
struct SegmentNote {
  std::map<std::string, at::Tensor> tensors;  ///< on any device
  std::map<std::string, std::string> texts;
};

/// A note and its segment's frames.
struct ReadNote {
  int64_t first_frame = 0;
  int64_t frames = 0;
  SegmentNote note;  ///< its tensors are views into the mapped file
};

/// The bytes of a note file: safetensors, with the texts, the frames and the checksums (of the segment and of the note
/// itself) as metadata.
std::string note_bytes(const SegmentNote& note, int64_t first_frame, int64_t frames, std::string_view segment);

/// Reads a note and checks its segment; nullopt if either is missing, truncated or modified.
std::optional<ReadNote> read_note(const std::filesystem::path& note, const std::filesystem::path& segment);

}  // namespace flashblock
