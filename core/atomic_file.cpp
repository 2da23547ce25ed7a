#include "core/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "core/error.h"
#include "core/output_path.h"

namespace flashblock {
namespace {

constexpr size_t kWriteChunkBytes = size_t{1} << 30;  // write(2) moves at most 2 GiB at a time

std::string reason(int error) {
  return error == ENOSPC || error == EDQUOT ? "the disk is full; free some space or choose another folder"
                                            : std::strerror(error);
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)), part_(unfinished_name(path_)) {
  file_ = FileDescriptor(::open(part_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666));
  if (!file_) fail("cannot be written");
}

AtomicFile::~AtomicFile() {
  if (file_ && !committed_) ::unlink(part_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_.get(), bytes.data(), std::min(bytes.size(), kWriteChunkBytes));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("writing failed");
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void AtomicFile::commit(FolderSync folder) {
  if (::fsync(file_.get()) != 0) fail("syncing to disk failed");
  if (::rename(part_.c_str(), path_.c_str()) != 0) fail("renaming the finished file failed");
  committed_ = true;
  if (file_.close() != 0) fail("closing failed");
  if (folder == FolderSync::kNow) sync_folder(path_.parent_path());
}

void AtomicFile::fail(const char* what) const {
  const int error = errno;
  throw MediaError(path_.string() + ": " + what + ": " + reason(error));
}

void write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

void sync_folder(const std::filesystem::path& folder) {
  const std::filesystem::path name = folder.empty() ? "." : folder;
  const FileDescriptor file(::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Some network file systems cannot sync folders (EINVAL); they order renames themselves.
  if (!file || (::fsync(file.get()) != 0 && errno != EINVAL))
    throw MediaError(name.string() + ": syncing the folder failed: " + std::strerror(errno));
}

}  // namespace flashblock
