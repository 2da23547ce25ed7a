// The progress display of a batch.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "batch/jobs_file.h"

namespace flashblock {

enum class BoardStyle {
  kAuto,   ///< a table on a terminal, otherwise lines
  kTable,  ///< redrawn in place
  kLines,  ///< one line when a video starts or ends
  kNone,
};

/// Shows a batch's progress on standard error; this one shows only warnings.
class Board {
 public:
  virtual ~Board() = default;
  virtual void state_changed(size_t /*video*/) {}
  virtual void tick() {}
  /// Prints a problem that does not stop the batch.
  virtual void warn(const std::string& problem);
};

/// `videos`, `statuses`: of the whole batch; `shown`: positions of this run's videos. All outlive the board.
std::unique_ptr<Board> make_board(BoardStyle style, const std::vector<BatchVideo>& videos,
                                  const std::vector<JobStatus>& statuses, const std::vector<size_t>& shown);

/// Name, state, blocks, speed and remaining time, or the error. Widths in characters; 0: no limit.
std::string board_line(const BatchVideo& video, const JobStatus& status, size_t name_width, size_t width);
/// One line for each of the `shown` videos, and the counts.
std::string board_table(const std::vector<BatchVideo>& videos, const std::vector<JobStatus>& statuses,
                        const std::vector<size_t>& shown);

}  // namespace flashblock
