#include "core/file_checksum.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "core/error.h"
#include "core/sha256.h"
#include "tests/support/temporary_folder.h"

namespace flashblock::testing {
namespace {

namespace fs = std::filesystem;

void write(const fs::path& file, const std::string& text) { std::ofstream(file) << text; }

TEST(FileChecksums, AreThoseOfTheFilesInOrderForEveryThread) {
  const TemporaryFolder folder;
  const std::vector<std::string> texts = {"one", "", "three"};
  std::vector<fs::path> files;
  for (size_t i = 0; i < texts.size(); ++i) {
    files.push_back(folder / std::to_string(i));
    write(files.back(), texts[i]);
  }
  const FileChecksums checksums(files);
  std::vector<std::jthread> readers;
  for (int reader = 0; reader < 4; ++reader) {
    readers.emplace_back([&] {
      const std::vector<FileChecksum>& found = checksums.get();
      ASSERT_EQ(found.size(), texts.size());
      for (size_t i = 0; i < texts.size(); ++i) {
        EXPECT_EQ(found[i].file, files[i]);
        EXPECT_EQ(found[i].bytes, texts[i].size());
        EXPECT_EQ(found[i].sha256, sha256(texts[i]));
      }
    });
  }
  readers.clear();
  EXPECT_TRUE(checksums.ready());
}

TEST(FileChecksums, MissingFileIsReportedToWhoeverAsks) {
  const TemporaryFolder folder;
  const FileChecksums checksums({folder / "none"});
  EXPECT_THROW(checksums.get(), MediaError);
  EXPECT_THROW(checksums.get(), MediaError);
}

TEST(FileChecksums, AreGivenUpWhenNobodyWantsThem) {
  const TemporaryFolder folder;
  write(folder / "large", "x");
  fs::resize_file(folder / "large", uintmax_t{1} << 37);  // sparse; its checksum would take minutes
  const auto start = std::chrono::steady_clock::now();
  {
    const FileChecksums checksums({folder / "large"});
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_FALSE(checksums.ready());
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

}  // namespace
}  // namespace flashblock::testing
