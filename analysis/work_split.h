// Where the time of a piece of work goes, by the scopes of core/work_scopes.h.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "analysis/time_mark.h"

namespace flashblock {

/// While it lives, watches the scopes that the calling thread enters. Only the outermost ones count. A watched piece of
/// work takes longer, by two marks a scope: time the whole without it. One at a time a thread.
class WorkSplit {
 public:
  explicit WorkSplit(at::Device device);
  ~WorkSplit();
  WorkSplit(const WorkSplit&) = delete;
  WorkSplit& operator=(const WorkSplit&) = delete;

  /// Seconds so far, by the scope's name; on a GPU those of its stream. Waits for the device.
  std::map<std::string, double> seconds() const;

  // For the observer of LibTorch.
  void enter(const char* scope);
  void leave();

 private:
  struct Part {
    std::string scope;
    TimeMark begin, end;
  };

  at::Device device_;
  uint64_t handle_;
  int depth_ = 0;
  std::string scope_;
  std::optional<TimeMark> begin_;  // of the open scope
  std::vector<Part> parts_;
};

}  // namespace flashblock
