#include "batch/batch_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/html_page.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& file, const char* what, int error) {
  throw MediaError(file.string() + ": " + what + ": " + std::strerror(error));
}

FileDescriptor open_lock(const fs::path& file) {
  FileDescriptor descriptor(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (!descriptor) fail(file, "cannot be created", errno);
  return descriptor;
}

/// Whether the lock was acquired. Throws: MediaError.
bool lock(const FileDescriptor& descriptor, const fs::path& file, int how) {
  while (::flock(descriptor.get(), how) != 0) {
    if (errno == EWOULDBLOCK) return false;
    if (errno != EINTR) fail(file, "cannot be locked; the file system must support flock", errno);
  }
  return true;
}

}  // namespace

std::optional<FileLock> FileLock::take(const fs::path& file) {
  FileDescriptor descriptor = open_lock(file);
  if (!lock(descriptor, file, LOCK_EX | LOCK_NB)) return {};
  return FileLock(std::move(descriptor));
}

FileLock FileLock::wait(const fs::path& file) {
  FileDescriptor descriptor = open_lock(file);
  lock(descriptor, file, LOCK_EX);
  return FileLock(std::move(descriptor));
}

bool FileLock::is_taken(const fs::path& file) {
  const FileDescriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  return descriptor && ::flock(descriptor.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

fs::path batch_stem(const fs::path& jobs_file) {
  const fs::path file = fs::absolute(jobs_file).lexically_normal();
  return file.extension() == ".yaml" ? fs::path(file).replace_extension() : file;
}

BatchFolder::BatchFolder(const fs::path& jobs_file) : folder_(batch_stem(jobs_file) += ".batch") {}

void BatchFolder::check() const {
  const bool exists = fs::exists(folder_);
  if (exists && !fs::is_directory(folder_)) throw MediaError(folder_.string() + " is not a folder: rename it");
  const fs::path written = exists ? folder_ : folder_.parent_path();
  if (::access(written.c_str(), W_OK | X_OK) != 0) fail(written, "cannot be written", errno);
}

void BatchFolder::create() const {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) fail(folder_, "cannot be created", error.value());
}

JobStatus BatchFolder::read(const std::string& video) const {
  std::ifstream stream(file(video, ".json"));
  if (!stream) return {};
  JobStatus status;
  try {
    status = job_status_from_json(nlohmann::ordered_json::parse(stream));
  } catch (const std::ios_base::failure&) {
    return {};  // a folder, or a disk that cannot be read
  } catch (const nlohmann::json::exception&) {
    return {};  // damaged, or of another version: whether the video is done is checked without it
  }
  if (status.state == JobState::kRunning && !FileLock::is_taken(lock_file(video))) {
    status.state = JobState::kInterrupted;
  }
  return status;
}

void BatchFolder::write(const std::string& video, const JobStatus& status) const {
  write_file_atomically(file(video, ".json"), json_text(to_json(status), 2));
}

}  // namespace flashblock
