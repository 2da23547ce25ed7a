#include "tests/support/small_disk.h"

#include <sys/mount.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

namespace flashblock::testing {
namespace {

constexpr const char* kBallast = "ballast";

}  // namespace

SmallDisk::SmallDisk(int64_t bytes) {
  const std::string options = "size=" + std::to_string(bytes);
  if (::mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, options.c_str()) != 0) error_ = std::strerror(errno);
}

SmallDisk::~SmallDisk() {
  if (error_.empty()) ::umount2(folder_.path().c_str(), MNT_DETACH);
}

int64_t SmallDisk::free_bytes() const { return static_cast<int64_t>(std::filesystem::space(folder_.path()).available); }

void SmallDisk::take(int64_t bytes) {
  std::ofstream ballast(folder_ / kBallast, std::ios::binary | std::ios::app);
  const std::vector<char> page(4096);
  for (; bytes > 0 && ballast; bytes -= static_cast<int64_t>(page.size())) {
    ballast.write(page.data(), std::min<int64_t>(bytes, static_cast<int64_t>(page.size())));
    ballast.flush();  // so that the end of the room is seen
  }
}

void SmallDisk::make_room() { std::filesystem::remove(folder_ / kBallast); }

}  // namespace flashblock::testing
