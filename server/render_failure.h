// What the server does about a render that failed.
#pragma once

#include <cstdint>

#include "core/error_report.h"
#include "server/video.h"
#include "server/video_folder.h"

namespace flashblock {

/// A failure as clients see it. The request was checked before, so the cause is on the server; the full message, which
/// may contain paths of this machine, goes to the log.
struct RenderFailure {
  bool passes = false;     ///< another attempt may succeed
  bool of_memory = false;  ///< other videos may need less
  Hold reason;
};

/// `report`: of what the render threw. `attempts`: how often in a row the video has failed without a new frame block,
/// this time included. `disk`: the state of the data folder's disk.
///
/// A disk that cannot be written, a lost device and a lack of memory pass. Another error of the disk or the encoder may
/// pass, and is tried three times; everything else is the video's own and fails for good.
RenderFailure judge_failure(const ErrorReport& report, int64_t attempts, DiskState disk);

}  // namespace flashblock
