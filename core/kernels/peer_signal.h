// Signals between GPUs that write to each other's memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace flashblock {

/// One GPU among those that signal: a counter on each of them for every other one.
struct PeerSignal {
  static constexpr int kMost = 32;
  uint32_t* theirs[kMost];      ///< this GPU's counter on each of the others
  const uint32_t* ours[kMost];  ///< their counters, on this GPU
  int others;
  uint32_t count;                ///< what is signalled, and waited for: one more each time
  const volatile int* given_up;  ///< on the host: not 0 ends the waiting
};

/// Queues: what kernels in front have written to the other GPUs is made visible there and signalled, then the signal of
/// each of them is waited for. Returns the status of the launch.
cudaError_t launch_peer_signal(const PeerSignal& arguments, cudaStream_t stream);

}  // namespace flashblock
