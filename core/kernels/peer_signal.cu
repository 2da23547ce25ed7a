#include "core/kernels/dependent_launch.cuh"
#include "core/kernels/peer_signal.h"

namespace flashblock {
inline namespace peer_signal_cu {

__device__ uint32_t read_counter(const uint32_t* counter) {
  uint32_t value;
  asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(value) : "l"(counter) : "memory");
  return value;
}

// One thread for each of the others. The next kernel may not begin early: its thread blocks would hold the
// multiprocessors for as long as another GPU takes.
__global__ void __launch_bounds__(PeerSignal::kMost) peer_signal_kernel(const __grid_constant__ PeerSignal a) {
  constexpr int kReadsOfHost = 1 << 12;  // as few as that: the host's memory is far
  const int other = static_cast<int>(threadIdx.x);
  kernels::wait_for_kernels_in_front();
  if (other >= a.others) return;
  __threadfence_system();
  asm volatile("st.release.sys.global.u32 [%0], %1;" ::"l"(a.theirs[other]), "r"(a.count) : "memory");
  for (int reads = 0; static_cast<int32_t>(read_counter(a.ours[other]) - a.count) < 0; ++reads) {
    if (reads == kReadsOfHost) {
      if (*a.given_up != 0) return;
      reads = 0;
    }
  }
}

}  // namespace peer_signal_cu

cudaError_t launch_peer_signal(const PeerSignal& a, cudaStream_t stream) {
  return kernels::launch_dependent(peer_signal_kernel, 1, PeerSignal::kMost, 0, stream, a);
}

}  // namespace flashblock
