// Files that appear under their final name complete or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

#include "core/file_descriptor.h"

namespace flashblock {

/// Whether a commit also syncs the folder.
enum class FolderSync {
  kNow,
  kLater,  ///< the caller does it (sync_folder), once for several files
};

/// A file under construction: NAME.part beside its final name. `commit` syncs it to disk, renames it and syncs the
/// folder; without a commit the destructor removes it, so that a failed write leaves nothing under the final name.
class AtomicFile {
 public:
  /// Creates NAME.part, replacing one that was left over. Throws: MediaError if the folder cannot be written.
  explicit AtomicFile(std::filesystem::path path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  /// Appends bytes. Throws: MediaError, for example when the disk is full.
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }

  /// Makes the file durable under its final name, replacing an existing one. Call once, last.
  /// Throws: MediaError; the file is then removed by the destructor.
  void commit(FolderSync folder = FolderSync::kNow);

 private:
  [[noreturn]] void fail(const char* what) const;

  std::filesystem::path path_;
  std::filesystem::path part_;
  FileDescriptor file_;
  bool committed_ = false;
};

/// Writes a whole small file atomically and durably. Throws: MediaError.
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

/// Syncs a folder's entries to disk, so that renames in it survive a power failure. Throws: MediaError.
void sync_folder(const std::filesystem::path& folder);

}  // namespace flashblock
