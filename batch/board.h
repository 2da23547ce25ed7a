// What a person sees while a batch runs.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "batch/jobs_file.h"

namespace flashblock {

enum class BoardStyle {
  kAuto,   ///< a table on a terminal, otherwise lines
  kTable,  ///< drawn again and again
  kLines,  ///< one line for each video that begins or ends
  kNone,
};

/// Throws: ConfigError that names the styles there are.
BoardStyle parse_board_style(const std::string& name);

/// Follows a batch, on standard error.
class Board {
 public:
  virtual ~Board() = default;
  virtual void state_changed(size_t /*video*/) {}
  virtual void tick() {}
  /// Says what a person may want to see to, even if nothing else is to be said.
  virtual void warn(const std::string& problem);
};

/// `videos`, `records`: of the whole batch; `shown`: positions of those that this run is about. All outlive the board.
std::unique_ptr<Board> make_board(BoardStyle style, const std::vector<BatchVideo>& videos,
                                  const std::vector<JobStatus>& records, const std::vector<size_t>& shown);

/// Name, state, blocks, speed and time left, or what went wrong. `width` in characters; 0: no limit.
std::string board_line(const BatchVideo& video, const JobStatus& record, size_t name_width, size_t width);
/// All `shown` videos, a line each.
std::string board_table(const std::vector<BatchVideo>& videos, const std::vector<JobStatus>& records,
                        const std::vector<size_t>& shown);

}  // namespace flashblock
