#include "core/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "core/file_descriptor.h"

namespace flashblock {

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw WeightsError(path.string() + ": cannot be opened: " + std::strerror(errno));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw WeightsError(path.string() + ": " + std::strerror(errno));
  if (!S_ISREG(status.st_mode)) throw WeightsError(path.string() + ": is not a regular file; name a weights file");
  if (status.st_size == 0) throw WeightsError(path.string() + ": the file is empty; download it again");
  const auto size = static_cast<size_t>(status.st_size);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (data == MAP_FAILED) throw WeightsError(path.string() + ": cannot be mapped into memory: " + std::strerror(errno));
  return std::shared_ptr<const MappedFile>(new MappedFile(path, static_cast<const std::byte*>(data), size));
}

MappedFile::MappedFile(std::filesystem::path path, const std::byte* data, size_t size)
    : path_(std::move(path)), data_(data), size_(size) {}

MappedFile::~MappedFile() { ::munmap(const_cast<std::byte*>(data_), size_); }

}  // namespace flashblock
