// report.json and report.html: the state of a batch, for scripts and for people.
#pragma once

#include <chrono>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "batch/batch_folder.h"
#include "batch/jobs_file.h"

namespace flashblock {

/// How many videos are in which state.
struct BatchCounts {
  int64_t videos = 0, done = 0, failed = 0, running = 0, interrupted = 0, waiting = 0;
};
BatchCounts count_states(const std::vector<JobStatus>& records);

/// Everything that the reports are made from.
struct BatchAccount {
  std::filesystem::path jobs_file;
  std::filesystem::path report;  ///< report.json; the page goes beside it
  const std::vector<BatchVideo>& videos;
  const std::vector<JobStatus>& records;
  const BatchFolder& folder;
};

/// report.html, which draws itself from report_page_json (core/html_page.h).
std::string_view batch_page();

/// report.json. Format: docs/batch.md.
nlohmann::ordered_json report_json(const BatchAccount& account);

/// What report.html draws: the same, and for each video that is done `file`, its path from the report's folder, and
/// `preview`. Previews are data URIs, so that the page is one file; those beyond `embedded_bytes` in all are paths, so
/// that the page of a large batch stays small.
nlohmann::ordered_json report_page_json(const BatchAccount& account, size_t embedded_bytes = 16 << 20);

/// Keeps both files up to date with the records that all runs of the batch keep in its folder.
class Reporter {
 public:
  /// `report`: NAME.json, with NAME.html beside it; empty: report.json beside the jobs file, or JOBS.report.json where
  /// another jobs file of its folder has that one. Throws: ConfigError if other files have these names; MediaError if
  /// the folder cannot be written.
  Reporter(const std::filesystem::path& jobs_file, const std::filesystem::path& report,
           const std::vector<BatchVideo>& videos, const BatchFolder& folder);

  /// To be called when a record has changed.
  void changed() { stale_ = true; }
  /// Writes both files if a record has changed; at most every second, and for at most a twentieth of the time.
  /// Throws: MediaError.
  void write_in_passing();
  /// Writes both files. Throws: MediaError.
  void write();

  std::filesystem::path page() const;

 private:
  using Clock = std::chrono::steady_clock;

  /// Whether report and page do not exist, or are those of this jobs file, or of one that is gone.
  bool may_write(const std::filesystem::path& report) const;
  /// Decided each time: another batch of the folder may have started, or this one may have been moved.
  std::filesystem::path choose_report() const;

  std::filesystem::path jobs_file_, given_, report_;
  const std::vector<BatchVideo>& videos_;
  const BatchFolder& folder_;
  bool stale_ = true;
  Clock::time_point next_;
};

}  // namespace flashblock
