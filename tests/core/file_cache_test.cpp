#include "core/file_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/temporary_folder.h"

namespace flashblock::testing {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

auto writing(const std::string& text) {
  return [text](const fs::path& file) { std::ofstream(file) << text; };
}

size_t files_in(const fs::path& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(FileCache, GivesBackWhatWasPutAndReplacesIt) {
  const TemporaryFolder folder;
  const FileCache cache(folder / "a" / "b", 1000);
  EXPECT_TRUE(cache.find("key").empty());
  cache.put("key", writing("first"));
  EXPECT_EQ(text_of(cache.find("key")), "first");
  cache.put("key", writing("second"));
  EXPECT_EQ(text_of(cache.find("key")), "second");
  EXPECT_TRUE(cache.find("another").empty());
  EXPECT_EQ(files_in(folder / "a" / "b"), 1u);
}

TEST(FileCache, DeletesWhatWasNotUsedForLongest) {
  const TemporaryFolder folder;
  const FileCache cache(folder.path(), 30);
  const auto now = fs::file_time_type::clock::now();
  for (int i = 0; i < 3; ++i) {
    const std::string key = "key" + std::to_string(i);
    cache.put(key, writing(std::string(10, 'x')));
    fs::last_write_time(folder / key, now - std::chrono::hours(10 - i));
  }
  cache.find("key0");  // used again: now key1 is the oldest
  cache.put("key3", writing(std::string(10, 'x')));
  EXPECT_FALSE(cache.find("key0").empty());
  EXPECT_TRUE(cache.find("key1").empty());
  EXPECT_FALSE(cache.find("key2").empty());
  EXPECT_FALSE(cache.find("key3").empty());
}

TEST(FileCache, SwallowsFaultsAndLeavesNothingBehind) {
  const TemporaryFolder folder;
  const FileCache cache(folder / "cache", 1000);
  cache.put("key", [](const fs::path& file) {
    std::ofstream(file) << "half";
    throw std::runtime_error("the disk is full");
  });
  EXPECT_TRUE(cache.find("key").empty());
  EXPECT_EQ(files_in(folder / "cache"), 0u);
  std::ofstream(folder / "file") << "no folder";
  FileCache(folder / "file", 1000).put("key", writing("text"));
  EXPECT_TRUE(FileCache(folder / "file", 1000).find("key").empty());
  FileCache("", 1000).put("key", writing("text"));
  EXPECT_TRUE(FileCache("", 1000).find("key").empty());
}

TEST(FileCache, DeletesWhatAnEndedProgramLeftUnfinished) {
  const TemporaryFolder folder;
  const FileCache cache(folder.path(), 1000);
  std::ofstream(folder / "old.1.0.tmp") << "half";
  fs::last_write_time(folder / "old.1.0.tmp", fs::file_time_type::clock::now() - std::chrono::hours(30));
  std::ofstream(folder / "new.2.0.tmp") << "half";
  cache.put("key", writing("text"));
  EXPECT_FALSE(fs::exists(folder / "old.1.0.tmp"));
  EXPECT_TRUE(fs::exists(folder / "new.2.0.tmp")) << "someone may still be writing it";
}

TEST(FileCache, ManyWritersLeaveWholeFiles) {
  const TemporaryFolder folder;
  const FileCache cache(folder.path(), 1 << 20);
  std::atomic<int> torn = 0;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 4; ++writer) {
    writers.emplace_back([&, writer] {
      for (int i = 0; i < 50; ++i) {
        cache.put("key", writing(std::string(5000, static_cast<char>('a' + writer))));
        const std::string text = text_of(cache.find("key"));
        torn += text.size() != 5000 || text != std::string(5000, text[0]);
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(torn, 0);
}

TEST(UserCacheFolder, FollowsTheEnvironment) {
  const auto value = [](const char* name) {
    const char* found = std::getenv(name);
    return found ? std::string(found) : std::string();
  };
  const std::string cache = value("XDG_CACHE_HOME"), home = value("HOME");
  ::setenv("XDG_CACHE_HOME", "/var/cache", 1);
  EXPECT_EQ(user_cache_folder("x"), "/var/cache/flashblock/x");
  ::setenv("XDG_CACHE_HOME", "relative", 1);
  ::setenv("HOME", "/home/someone", 1);
  EXPECT_EQ(user_cache_folder("x"), "/home/someone/.cache/flashblock/x");
  ::unsetenv("XDG_CACHE_HOME");
  ::unsetenv("HOME");
  EXPECT_EQ(user_cache_folder("x"), "");
  if (!cache.empty()) ::setenv("XDG_CACHE_HOME", cache.c_str(), 1);
  if (!home.empty()) ::setenv("HOME", home.c_str(), 1);
}

}  // namespace
}  // namespace flashblock::testing
