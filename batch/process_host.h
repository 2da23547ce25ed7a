// Workers as processes on this machine.
#pragma once

#include "batch/worker.h"

namespace flashblock {

/// Starts `batch-worker` of the running executable. Workers are killed when this process ends, however it ends.
class ProcessHost : public WorkerHost {
 public:
  int64_t gpus() const override;
  std::unique_ptr<Worker> start(const WorkerShare& share) override;
  void wait(const std::vector<int>& descriptors, std::chrono::milliseconds limit) override;
  TimePoint now() const override { return std::chrono::steady_clock::now(); }
};

}  // namespace flashblock
