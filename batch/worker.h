// The process that renders a batch's videos.
//
// It reads JSON lines from standard input: {"name", "attempt", "configuration", "preview"} is a video to render, the
// end of input a request to stop. It writes JSON lines to standard output, each with an `event`: `stage` and `progress`
// (with `stage`, `block`, `blocks`, `frames`), and one of `done` (`frames`, `blocks`), `stopped` or `failed`
// (`status`, `message`) at the end of each video.
#pragma once

namespace flashblock {

/// `flashblock batch-worker`: renders what it is told until the input ends. Returns the exit status.
///
/// For tests, FLASHBLOCK_TEST_FAULT holds a list of KIND:NAME or KIND:NAME:N, separated by commas: the video NAME
/// crashes the worker, hangs it or runs out of memory (KIND crash, hang, memory) after its first frame block; with N
/// only in its first N attempts.
int run_batch_worker();

}  // namespace flashblock
