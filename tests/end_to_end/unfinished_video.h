// Videos that are ended before they are finished, for tests of what becomes of them.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/end_to_end/program_run.h"
#include "tests/support/temporary_folder.h"

namespace flashblock::testing {

/// The coded frames of an MP4, which is all of it that does not depend on its name: the contents of its mdat box.
std::string coded_frames(const std::filesystem::path& video);
/// A file of NAME.parts: that of segment `number`, or its note.
std::string segment(int64_t number, const char* extension = ".m4s");
/// Waits until a segment is there; it fails if that takes minutes.
void wait_for(const std::filesystem::path& segment_file);
/// All tensors of two safetensors files, bit for bit.
void expect_same_tensors(const std::filesystem::path& file, const std::filesystem::path& expected);
/// A video that is finished, and the same as another, bit for bit.
void expect_same_video(const std::filesystem::path& video, const std::filesystem::path& expected);

/// Renders videos of a small model.
class UnfinishedVideo : public ::testing::Test {
 protected:
  using Words = std::vector<std::string>;

  static void SetUpTestSuite();
  static void TearDownTestSuite() { models_.reset(); }
  static std::filesystem::path model() { return *models_ / "model"; }

  /// Five frame blocks, unless `more` says otherwise.
  Words command(const std::string& name, const Words& more = {}) const;
  ProgramRun render(const std::string& name, const Words& more = {}) const { return run_program(command(name, more)); }
  ProgramRun resume(const std::string& name, const Words& more = {}) const;
  std::filesystem::path video(const std::string& name) const { return place_ / (name + ".mp4"); }
  std::filesystem::path parts(const std::string& name) const { return place_ / (name + ".parts"); }

  /// A video as a run leaves it that was ended after `segments` segments.
  void leave_unfinished(const std::string& name, int64_t segments, const Words& more = {}) const;
  void expect_same(const std::string& name, const std::string& expected) const {
    expect_same_video(video(name), video(expected));
  }

  static std::unique_ptr<TemporaryFolder> models_;
  TemporaryFolder folder_;
  std::filesystem::path place_ = folder_.path();  ///< where videos go
};

}  // namespace flashblock::testing
