#include "media/segment_note.h"

#include "core/check.h"
#include "core/error.h"
#include "core/mapped_file.h"
#include "core/parse_number.h"
#include "core/sha256.h"
#include "weights/safetensors_reader.h"
#include "weights/tensor_file.h"

namespace flashblock {
namespace {

constexpr const char* kFirstFrame = "segment.first_frame";
constexpr const char* kFrames = "segment.frames";
constexpr const char* kSegmentChecksum = "segment.sha256";
constexpr const char* kOwnChecksum = "sha256";  // of the same file without this entry

std::string serialize(const SegmentNote& note) {
  return tensor_file_bytes(NamedTensors(note.tensors.begin(), note.tensors.end()), note.texts);
}

/// Removes an entry from the texts and returns it. Throws: std::out_of_range if there is none.
std::string take(std::map<std::string, std::string>& texts, const char* key) {
  const std::string text = texts.at(key);
  texts.erase(key);
  return text;
}

int64_t take_number(std::map<std::string, std::string>& texts, const char* key) {
  return parse_number<int64_t>(take(texts, key)).value_or(-1);
}

}  // namespace

std::string note_bytes(const SegmentNote& note, int64_t first_frame, int64_t frames, std::string_view segment) {
  SegmentNote whole = note;
  const auto add = [&](const char* key, const std::string& text) {
    FB_CHECK(whole.texts.emplace(key, text).second, "the note's text '", key,
             "' uses a name that is reserved for the writer");
  };
  add(kFirstFrame, std::to_string(first_frame));
  add(kFrames, std::to_string(frames));
  add(kSegmentChecksum, sha256(segment));
  add(kOwnChecksum, sha256(serialize(whole)));
  return serialize(whole);
}

std::optional<ReadNote> read_note(const std::filesystem::path& note, const std::filesystem::path& segment) try {
  ContainerContents contents = read_safetensors(MappedFile::open(note));
  ReadNote result{.note = {.texts = std::move(contents.metadata)}};
  for (auto& [name, tensor] : contents.tensors) result.note.tensors.emplace(name, std::move(tensor.data));
  auto& texts = result.note.texts;
  const std::string own = take(texts, kOwnChecksum);
  if (sha256(serialize(result.note)) != own) return std::nullopt;
  if (file_sha256(segment) != take(texts, kSegmentChecksum)) return std::nullopt;
  result.first_frame = take_number(texts, kFirstFrame);
  result.frames = take_number(texts, kFrames);
  return result;
} catch (const Error&) {
  return std::nullopt;
} catch (const std::out_of_range&) {
  return std::nullopt;
}

}  // namespace flashblock
