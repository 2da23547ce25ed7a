#include "core/file_identity.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "core/sha256.h"
#include "tests/support/temporary_folder.h"

namespace flashblock::testing {
namespace {

namespace fs = std::filesystem;

void write(const fs::path& file, const std::string& text) { std::ofstream(file) << text; }

TEST(FileIdentity, ChangesWithTheFile) {
  const TemporaryFolder folder;
  const fs::path file = folder / "weights";
  write(file, "one");
  const std::string first = file_identity(file);
  EXPECT_EQ(file_identity(file), first);
  fs::last_write_time(file, fs::last_write_time(file) + std::chrono::seconds(2));
  const std::string touched = file_identity(file);
  EXPECT_NE(touched, first);
  write(file, "three");
  EXPECT_NE(file_identity(file), touched);
  EXPECT_THROW(file_identity(folder / "none"), WeightsError);
}

TEST(FileIdentity, ChecksumsAreKeptUntilTheFileChanges) {
  const TemporaryFolder folder;
  const fs::path file = folder / "weights";
  write(file, "one");
  const FileCache cache(folder / "cache", 1 << 20);
  EXPECT_EQ(cached_file_sha256(file, cache), sha256("one"));
  // Another content behind the same identity shows that nothing was read again.
  const auto time = fs::last_write_time(file);
  {
    std::fstream stream(file, std::ios::in | std::ios::out);
    stream << "two";
  }
  fs::last_write_time(file, time);
  EXPECT_EQ(cached_file_sha256(file, cache), sha256("one"));
  EXPECT_EQ(cached_file_sha256(file, FileCache("", 0)), sha256("two"));
  fs::last_write_time(file, time + std::chrono::seconds(2));
  EXPECT_EQ(cached_file_sha256(file, cache), sha256("two"));
  // What is kept is not believed if it is damaged.
  for (const auto& entry : fs::directory_iterator(folder / "cache")) write(entry.path(), "nonsense");
  EXPECT_EQ(cached_file_sha256(file, cache), sha256("two"));
  std::stop_source stop;
  stop.request_stop();
  fs::last_write_time(file, time + std::chrono::seconds(4));
  EXPECT_EQ(cached_file_sha256(file, cache, stop.get_token()), "");
}

}  // namespace
}  // namespace flashblock::testing
