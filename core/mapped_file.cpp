#include "core/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <map>
#include <mutex>
#include <utility>

#include "core/error.h"
#include "core/file_descriptor.h"

namespace flashblock {

namespace {

/// The memory of mapped files, by first address. Leaked, so that it outlives files in static storage.
struct Mappings {
  std::mutex mutex;
  std::map<const std::byte*, size_t> sizes;
};

Mappings& mappings() {
  static auto* const all = new Mappings;
  return *all;
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw WeightsError(path.string() + ": cannot be opened: " + std::strerror(errno));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw WeightsError(path.string() + ": " + std::strerror(errno));
  if (!S_ISREG(status.st_mode)) throw WeightsError(path.string() + ": is not a regular file; wanted a weights file");
  if (status.st_size == 0) throw WeightsError(path.string() + ": the file is empty; download it again");
  const auto size = static_cast<size_t>(status.st_size);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (data == MAP_FAILED) throw WeightsError(path.string() + ": cannot be mapped into memory: " + std::strerror(errno));
  return std::shared_ptr<const MappedFile>(new MappedFile(path, static_cast<const std::byte*>(data), size));
}

MappedFile::MappedFile(std::filesystem::path path, const std::byte* data, size_t size)
    : path_(std::move(path)), data_(data), size_(size) {
  const std::scoped_lock lock(mappings().mutex);
  mappings().sizes[data_] = size_;
}

MappedFile::~MappedFile() {
  const std::scoped_lock lock(mappings().mutex);
  mappings().sizes.erase(data_);
  ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release(std::span<const std::byte> bytes) {
  const std::scoped_lock lock(mappings().mutex);
  const auto next = mappings().sizes.upper_bound(bytes.data());
  if (next == mappings().sizes.begin()) return;
  const auto& [begin, size] = *std::prev(next);
  if (bytes.data() + bytes.size() > begin + size) return;
  // Whole pages only: other data on the first and the last page may be in use.
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const uintptr_t first = (reinterpret_cast<uintptr_t>(bytes.data()) + page - 1) / page * page;
  const uintptr_t last = reinterpret_cast<uintptr_t>(bytes.data() + bytes.size()) / page * page;
  if (first < last) ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

}  // namespace flashblock
