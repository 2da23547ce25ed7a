// The process that renders a batch's videos: jobs on standard input, events on standard output, see worker_messages.h.
// The end of the input is the request to stop.
#pragma once

#include <functional>

#include "batch/worker_messages.h"

namespace flashblock {

/// Called on the writing thread when a frame block is on disk. What it throws ends the video like any other error.
using BlockHook = std::function<void(const WorkerJob& job, const RenderProgress& so_far)>;

/// `flashblock batch-worker`: renders the jobs that it reads until the input ends. Returns the exit status.
/// `after_block`: for programs that watch their workers, or test what becomes of a worker that fails.
int run_batch_worker(const BlockHook& after_block = {});

}  // namespace flashblock
