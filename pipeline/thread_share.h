// How many threads LibTorch may use on the CPU, per calling thread.
#pragma once

#include <ATen/Parallel.h>
#include <c10/core/Device.h>

#include <algorithm>

namespace flashblock {

/// Limits the LibTorch operators that this thread calls to `threads` threads while it lives.
class ThreadShare {
 public:
  explicit ThreadShare(int threads) : before_(at::get_num_threads()) { at::set_num_threads(threads); }
  ~ThreadShare() { at::set_num_threads(before_); }
  ThreadShare(const ThreadShare&) = delete;
  ThreadShare& operator=(const ThreadShare&) = delete;

  /// Threads for each of `stages` that work at the same time. More than there are cores in all would have them wait for
  /// each other at every barrier: on two cores, a video with two threads in each of two stages takes twice as long as
  /// one with one thread in each (256x144, demo geometry: 25 s against 10 s for 6 s of video).
  static int of(int stages) { return std::max(1, at::get_num_threads() / stages); }

  /// Threads for each of the two stages that compute, on `device`, and for prompts, which may come while both do. The
  /// same whether they overlap or not: sums are rounded by how they are divided among threads, and a switch that is
  /// about time must not change the video.
  static int of_stage(at::Device device) { return of(device.is_cpu() ? 2 : 1); }

  /// Stages that the decoder, the slowest one of small models, is: as many as it has parts where each stage has one
  /// thread, so that two or three cores are all busy. With more threads each, three stages would be too many for them.
  static int decoder_stages(at::Device device, int threads_of_stage, int decoder_parts) {
    return device.is_cpu() && threads_of_stage == 1 ? decoder_parts : 1;
  }

 private:
  int before_;
};

}  // namespace flashblock
