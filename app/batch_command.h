// `flashblock batch`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "batch/board.h"
#include "batch/supervisor.h"

namespace flashblock {

/// Part `index` of `count` parts of a batch; parts count from 1.
struct Shard {
  int64_t index = 1;
  int64_t count = 1;
};

/// `flashblock batch JOBS.yaml`.
struct BatchRequest {
  enum class Action {
    kRun,
    kStatus,  ///< print the progress
    kCheck,   ///< check the jobs file and list the videos
  };

  std::filesystem::path jobs_file;
  Action action = Action::kRun;
  Shard shard;
  std::filesystem::path report;  ///< empty: report.json beside the jobs file
  SupervisorOptions supervisor;
  BoardStyle board = BoardStyle::kAuto;
  bool quiet = false;
};

/// Carries out the request. Returns the program's exit status (docs/batch.md). Throws: Error.
int run_batch(const BatchRequest& request);

}  // namespace flashblock
