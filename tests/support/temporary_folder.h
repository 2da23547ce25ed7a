// A folder that is removed after the test.
#pragma once

#include <filesystem>
#include <string>

namespace flashblock::testing {

/// Creates an empty folder below the system's temporary folder and removes it with its contents when destroyed.
class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace flashblock::testing
