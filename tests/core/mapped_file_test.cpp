#include "core/mapped_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/temporary_folder.h"

namespace flashblock::testing {
namespace {

constexpr size_t kPages = 64;

/// Pages of a mapping that this process has in memory. Source: proc(5), smaps.
size_t pages_held(std::span<const std::byte> bytes, size_t page) {
  std::ostringstream begin;
  begin << std::hex << reinterpret_cast<uintptr_t>(bytes.data()) << '-';
  std::ifstream maps("/proc/self/smaps");
  bool here = false;
  for (std::string line; std::getline(maps, line);) {
    here = here || line.starts_with(begin.str());
    if (here && line.starts_with("Rss:")) return std::stoul(line.substr(4)) * 1024 / page;
  }
  ADD_FAILURE() << "no mapping at " << begin.str();
  return 0;
}

class MappedFileRelease : public ::testing::Test {
 protected:
  void SetUp() override {
    page_ = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    std::ofstream(folder_ / "file", std::ios::binary) << std::string(kPages * page_, 'x');
    file_ = MappedFile::open(folder_ / "file");
  }
  size_t sum() const {
    return std::accumulate(file_->bytes().begin(), file_->bytes().end(), size_t{0},
                           [](size_t total, std::byte byte) { return total + std::to_integer<size_t>(byte); });
  }
  size_t held() const { return pages_held(file_->bytes(), page_); }

  TemporaryFolder folder_;
  size_t page_ = 0;
  std::shared_ptr<const MappedFile> file_;
};

TEST_F(MappedFileRelease, GivesWholePagesBackAndReadsThemAgain) {
  const size_t before = sum();
  ASSERT_EQ(held(), kPages);
  MappedFile::release(file_->bytes().subspan(1, 3 * page_));  // parts of four pages, two of them whole
  EXPECT_EQ(held(), kPages - 2);
  MappedFile::release(file_->bytes());
  EXPECT_EQ(held(), 0u);
  EXPECT_EQ(sum(), before);
}

TEST_F(MappedFileRelease, LeavesOtherMemoryAlone) {
  std::vector<char> heap(8 * page_, 'y');
  MappedFile::release(std::as_bytes(std::span(heap)));
  EXPECT_EQ(std::count(heap.begin(), heap.end(), 'y'), static_cast<std::ptrdiff_t>(heap.size()));
  const auto bytes = file_->bytes();
  ASSERT_GT(sum(), 0u);
  MappedFile::release({bytes.data() + page_, bytes.size()});  // reaches past the end of the file
  EXPECT_EQ(held(), kPages);
}

}  // namespace
}  // namespace flashblock::testing
