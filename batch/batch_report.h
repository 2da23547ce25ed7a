// report.json and report.html: how a batch went, for scripts and for people.
#pragma once

#include <chrono>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "batch/batch_folder.h"
#include "batch/jobs_file.h"

namespace flashblock {

/// How many videos are in which state.
struct BatchCounts {
  int64_t videos = 0, done = 0, failed = 0, running = 0, interrupted = 0, waiting = 0;
};
BatchCounts count_states(const std::vector<JobStatus>& records);

/// All that the reports tell.
struct BatchAccount {
  std::filesystem::path jobs_file;
  std::filesystem::path report;  ///< report.json; the page goes beside it
  const std::vector<BatchVideo>& videos;
  const std::vector<JobStatus>& records;
  const BatchFolder& folder;
};

nlohmann::ordered_json report_json(const BatchAccount& account);
/// A gallery of the videos in one file that needs no other.
std::string report_page(const BatchAccount& account);

/// Keeps both files up to date, from the records that all runs of the batch leave in its folder.
class Reporter {
 public:
  /// Throws: ConfigError if `report` is there and tells of another jobs file.
  Reporter(std::filesystem::path jobs_file, std::filesystem::path report, const std::vector<BatchVideo>& videos,
           const BatchFolder& folder);

  /// Notes that a record has changed.
  void changed() { stale_ = true; }
  /// Writes both files if a record has changed; not so often that it takes more than a small part of the time.
  /// Throws: MediaError.
  void write_in_passing();
  /// Writes both files. Throws: MediaError.
  void write();

  std::filesystem::path page() const;

 private:
  using Clock = std::chrono::steady_clock;

  std::filesystem::path jobs_file_, report_;
  const std::vector<BatchVideo>& videos_;
  const BatchFolder& folder_;
  bool stale_ = true;
  Clock::time_point next_;
};

}  // namespace flashblock
