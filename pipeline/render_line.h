// The stages that the frame blocks of a video pass through, denoise to decode to write: its threads, queues and
// streams, and how many cores each stage gets.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/Event.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/Stream.h>
#include <c10/core/StreamGuard.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "core/profile.h"

namespace flashblock {

/// Whether a frame block is decoded and written while the next one is denoised.
enum class Overlap { kOff, kOn };

/// CPU threads that LibTorch has in this process, as it starts: OMP_NUM_THREADS, or as many as there are cores.
/// LibTorch gives a new thread the count that any thread has set last, if only for a stage; one that computes videos
/// therefore begins with a ThreadLimit of this many.
int process_threads();

/// CPU threads for each of the two stages that compute on `device`, and for encoding prompts, which may happen while
/// both do: half of LibTorch's on the CPU. More threads than cores in all would make the stages wait for each other at
/// every barrier: on two cores, a video with two threads in each stage takes twice as long as with one (256x144, demo
/// geometry: 25 s against 10 s for 6 s of video). The same whether stages overlap or not. A stage has all threads where
/// no other works: in the video's first frame block, and when the last one is decoded. By place, never by what happens
/// to run, since how a sum is divided among threads can change its rounding.
int threads_per_stage(at::Device device);

/// Stages that decode, the slowest work of small models: one for each of the decoder's parts where a stage has one
/// thread, so that two or three cores are all busy. With more threads per stage, three stages would exceed the cores.
int decoder_stages(at::Device device, int threads_per_stage, int decoder_parts);

/// Waits until all work on the device is done.
void synchronize(at::Device device);

/// Seconds on the host until the device has finished `work`.
template <typename Work>
double seconds_of(at::Device device, const Work& work) {
  synchronize(device);
  const auto start = std::chrono::steady_clock::now();
  work();
  synchronize(device);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Limits the LibTorch operators that this thread calls to `threads` CPU threads while it lives.
class ThreadLimit {
 public:
  explicit ThreadLimit(int threads);
  ~ThreadLimit();
  ThreadLimit(const ThreadLimit&) = delete;
  ThreadLimit& operator=(const ThreadLimit&) = delete;

 private:
  int before_;
};

/// This thread computes as a stage does while it lives: without gradients, with a stage's CPU threads.
class StageScope {
 public:
  explicit StageScope(at::Device device) : StageScope(threads_per_stage(device), std::nullopt) {}
  /// Work on the GPU goes to `stream`, if given.
  StageScope(int threads, const std::optional<c10::Stream>& stream);

 private:
  c10::InferenceMode no_gradients_;
  ThreadLimit limit_;
  std::optional<c10::StreamGuard> on_stream_;
};

/// A tensor on its way from one stream to another.
class CrossStreamTensor {
 public:
  CrossStreamTensor() = default;
  /// Requires: the current stream is the one that computes the tensor.
  explicit CrossStreamTensor(at::Tensor tensor);

  /// For the stream that reads the tensor: work queued there afterwards waits until the tensor is computed.
  at::Tensor receive() const;

 private:
  at::Tensor tensor_;
  std::shared_ptr<c10::Event> computed_;
};

/// A thread with room for one waiting task, so that memory does not grow when tasks come faster than they are done.
/// Thread safety: one thread at a time calls the members.
class StageThread {
 public:
  StageThread();
  ~StageThread();
  StageThread(const StageThread&) = delete;
  StageThread& operator=(const StageThread&) = delete;

  /// Blocks while another task waits. Throws: what an earlier task threw.
  void put(std::function<void()> task);
  /// Returns when all tasks are done. Throws: what one of them threw.
  void finish();
  /// Drops the waiting task, waits for the running one, and clears the error.
  void reset();

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> waiting_;
  bool running_ = false, closed_ = false;
  std::exception_ptr error_;
  std::thread thread_;
};

/// One stage of a video: processes values in order. Without a thread, put() does the work itself. An error in the work
/// ends the stage and is thrown by the next put() or finish(), in the stage before and so on up to the caller.
/// Thread safety: one thread may put and finish.
template <typename T>
class Stage {
 public:
  Stage(StageThread* thread, std::function<void(const T&)> work, std::function<void()> finish_next)
      : thread_(thread), work_(std::move(work)), finish_next_(std::move(finish_next)) {}
  /// Drops values that still wait.
  ~Stage() {
    if (thread_) thread_->reset();
  }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  /// Blocks while another value waits.
  void put(T value) {
    if (!thread_) return work_(value);
    thread_->put([this, value = std::move(value)] { work_(value); });
  }

  /// Returns when this stage and those after it have processed everything that was put.
  void finish() {
    if (thread_) thread_->finish();
    if (finish_next_) finish_next_();
  }

 private:
  StageThread* thread_;
  std::function<void(const T&)> work_;
  std::function<void()> finish_next_;
};

/// Threads and streams of the stages on one device, or two, for one video after another. LibTorch keeps cuDNN's plan
/// for a shape per thread, and freed memory per stream: the next video on the line finds both.
class RenderLine {
 public:
  /// Where a stage works. Denoising is on the caller's thread.
  enum class Lane { kDecode, kFinishDecoding, kWrite };

  /// `decoder_device`: if not the same.
  explicit RenderLine(at::Device device, std::optional<at::Device> decoder_device = {});

  /// One video on the line. The thread that makes it is the denoising stage while the object lives: a StageScope on the
  /// denoiser's stream. A second video waits in the constructor; two that took turns on the threads would wait for each
  /// other forever.
  class Run {
   public:
    /// Also synchronizes the devices: weights may still be on their way, on another stream. Without overlap all stages
    /// work on the caller's thread, with the same result. `decoder_parts`: see LatentDecoder::parts. `profile`
    /// outlives the run.
    Run(RenderLine& line, Overlap overlap, int decoder_parts, Profile& profile);

    /// CPU threads of a stage; `alone`: no other stage has work meanwhile.
    int threads(bool alone) const { return alone ? all_threads_ : threads_; }

    /// Whether the decoder's halves are two stages, kDecode and kFinishDecoding.
    bool decodes_in_halves() const { return halves_; }

    /// The last stage. `work` takes a const T&, and is measured as `name` (a literal; null: not measured).
    template <typename T, typename Work>
    Stage<T> stage(Lane lane, const char* name, Work work) {
      return Stage<T>(thread(lane), [=, this](const T& value) { measured(lane, name, work, value); }, {});
    }

    /// A stage that hands what `work` returns to `next`. Waiting for `next` is not measured.
    template <typename T, typename Work, typename Next>
    Stage<T> stage(Lane lane, const char* name, Work work, Stage<Next>& next) {
      return Stage<T>(
          thread(lane), [=, this, &next](const T& value) { next.put(measured(lane, name, work, value)); },
          [&next] { next.finish(); });
    }

   private:
    template <typename Work, typename T>
    auto measured(Lane lane, const char* name, const Work& work, const T& value) {
      const StageScope scope(threads_, lane == Lane::kWrite ? std::nullopt : line_.decode_stream_);
      if (!name) return work(value);
      const auto time = profile_.measure(name);
      return work(value);
    }

    /// Null: the caller's.
    StageThread* thread(Lane lane) {
      return overlap_ == Overlap::kOn ? &line_.threads_[static_cast<size_t>(lane)] : nullptr;
    }

    RenderLine& line_;
    const Overlap overlap_;
    Profile& profile_;
    const int all_threads_, threads_;
    const bool halves_;
    std::unique_lock<std::mutex> one_video_;
    std::optional<StageScope> denoising_;
  };

 private:
  const at::Device device_, decoder_device_;
  std::mutex in_use_;
  std::optional<c10::Stream> denoise_stream_, decode_stream_;  ///< none on the CPU
  std::array<StageThread, 3> threads_;
};

}  // namespace flashblock
