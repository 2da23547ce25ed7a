// A file mapped into memory, read-only.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

namespace flashblock {

/// Owns the mapping of a whole file. Pages are read when first touched and shared with other processes.
/// Thread safety: immutable after opening. The file must not be shortened while it is mapped.
class MappedFile {
 public:
  /// Throws: WeightsError if the file is missing, not a regular file, unreadable or empty.
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path);

  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  const std::filesystem::path& path() const { return path_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }

  /// Releases the memory of `bytes` if they lie in a mapped file; the next access reads them again. Does nothing for
  /// other memory. Thread safety: any thread; other threads may read the same bytes meanwhile.
  static void release(std::span<const std::byte> bytes);

 private:
  MappedFile(std::filesystem::path path, const std::byte* data, size_t size);

  std::filesystem::path path_;
  const std::byte* data_;
  size_t size_;
};

}  // namespace flashblock
