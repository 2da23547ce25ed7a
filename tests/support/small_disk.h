// A file system of a few megabytes that tests can fill.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/support/temporary_folder.h"

namespace flashblock::testing {

/// A tmpfs, mounted in a temporary folder while the object lives. Only root can mount one.
class SmallDisk {
 public:
  explicit SmallDisk(int64_t bytes);
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk();

  /// Why mounting failed; empty: it is mounted.
  const std::string& error() const { return error_; }
  std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }

  int64_t free_bytes() const;
  /// Fills so many bytes, or all that are free.
  void take(int64_t bytes);
  void fill() { take(free_bytes()); }
  /// Frees them again.
  void make_room();

 private:
  TemporaryFolder folder_;
  std::string error_;
};

}  // namespace flashblock::testing

/// Skips the test where nothing can be mounted; fails it instead if FLASHBLOCK_REQUIRE_MOUNTS=1 is set.
#define FLASHBLOCK_NEED_DISK(disk)                                             \
  do {                                                                         \
    if (!(disk).error().empty()) {                                             \
      const char* required = std::getenv("FLASHBLOCK_REQUIRE_MOUNTS");         \
      if (required && *required == '1') FAIL() << (disk).error();              \
      GTEST_SKIP() << "no small disk can be mounted here: " << (disk).error(); \
    }                                                                          \
  } while (false)
