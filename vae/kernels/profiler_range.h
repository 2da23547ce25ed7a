// A range in profiles, named after a launcher.
#pragma once

#include <nvtx3/nvToolsExt.h>

namespace flashblock::kernels {

/// From construction to destruction.
class ProfilerRange {
 public:
  explicit ProfilerRange(const char* name) { nvtxRangePushA(name); }
  ~ProfilerRange() { nvtxRangePop(); }
  ProfilerRange(const ProfilerRange&) = delete;
  ProfilerRange& operator=(const ProfilerRange&) = delete;
};

}  // namespace flashblock::kernels
