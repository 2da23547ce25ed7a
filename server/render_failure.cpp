#include "server/render_failure.h"

#include <string>

namespace flashblock {
namespace {

constexpr int64_t kMostAttempts = 3;

/// Whether an error of the disk is a lack of space: of AtomicFile, of FFmpeg, or of the check before a render.
bool says_full(const std::string& message) {
  for (const char* words : {"the disk is full", "No space left on device", "MiB free, this video may need"}) {
    if (message.find(words) != message.npos) return true;
  }
  return false;
}

}  // namespace

RenderFailure judge_failure(const ErrorReport& report, int64_t attempts, DiskState disk) {
  switch (report.status) {
    case ExitStatus::kConfig:
      return {.reason = {"invalid_request", "the server's settings do not allow this video"}};
    case ExitStatus::kWeights:
      return {.reason = {"model_error", "the server could not load the model"}};
    case ExitStatus::kDevice:
      if (report.message.find("out of memory") != std::string::npos) {
        return {
            true, true, {"out_of_memory", "the server has too little memory; the video continues when it has more"}};
      }
      return {true, false, {"device_error", "the server's device failed; the video continues when it works again"}};
    case ExitStatus::kMedia:
      if (disk == DiskState::kFull || says_full(report.message)) {
        return {true, false, {"disk_full", "the server's disk is full; the video continues when there is space"}};
      }
      if (disk == DiskState::kUnwritable) {
        return {true, false, {"disk_error", "the server cannot write to its disk; the video continues when it can"}};
      }
      if (attempts < kMostAttempts) {
        return {true, false, {"media_error", "the server could not write the video; it tries again"}};
      }
      return {.reason = {"media_error", "the server could not write the video"}};
    default:
      return {.reason = {"internal_error",
                         "the server failed to render the video; who runs it finds the reason in its log"}};
  }
}

}  // namespace flashblock
