// Where videos are rendered: streams and threads that outlive them.
#pragma once

#include <c10/core/Device.h>

#include <mutex>

#include "pipeline/device_stream.h"
#include "pipeline/worker_thread.h"

namespace flashblock {

/// Streams and threads of the stages, for one video after another. LibTorch keeps per thread what cuDNN has planned
/// for a shape, and per stream the memory that was freed: a video in the lanes of an earlier one finds both. What a
/// video sets on these threads it sets for each piece of work, and puts back.
struct StageLanes {
  explicit StageLanes(at::Device device) : denoise_stream(device), decode_stream(device) {}

  /// Held by a video from beginning to end: two whose stages took turns on the threads would wait for each other.
  std::mutex in_use;
  DeviceStream denoise_stream, decode_stream;
  WorkerThread decode_thread, finish_thread, write_thread;  ///< denoising is on the caller's thread
};

}  // namespace flashblock
