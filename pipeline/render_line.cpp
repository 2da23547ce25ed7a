#include "pipeline/render_line.h"

#include <ATen/Parallel.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>

namespace flashblock {

using c10::impl::VirtualGuardImpl;

namespace {
const int kProcessThreads = at::get_num_threads();  // before any thread limits itself
}

int process_threads() { return kProcessThreads; }

int threads_per_stage(at::Device device) { return std::max(1, at::get_num_threads() / (device.is_cpu() ? 2 : 1)); }

int decoder_stages(at::Device device, int threads_per_stage, int decoder_parts) {
  return device.is_cpu() && threads_per_stage == 1 ? decoder_parts : 1;
}

void synchronize(at::Device device) {
  if (!device.is_cpu()) VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
}

ThreadLimit::ThreadLimit(int threads) : before_(at::get_num_threads()) { at::set_num_threads(threads); }

ThreadLimit::~ThreadLimit() { at::set_num_threads(before_); }

StageScope::StageScope(int threads, const std::optional<c10::Stream>& stream) : limit_(threads) {
  if (stream) on_stream_.emplace(*stream);
}

CrossStreamTensor::CrossStreamTensor(at::Tensor tensor) : tensor_(std::move(tensor)) {
  if (!tensor_.defined() || tensor_.is_cpu()) return;
  computed_ = std::make_shared<c10::Event>(tensor_.device().type());
  computed_->record(VirtualGuardImpl(tensor_.device().type()).getStream(tensor_.device()));
}

at::Tensor CrossStreamTensor::receive() const {
  if (computed_) {
    const c10::Stream reader = VirtualGuardImpl(tensor_.device().type()).getStream(tensor_.device());
    computed_->block(reader);
    tensor_.record_stream(reader);
  }
  return tensor_;
}

StageThread::StageThread() : thread_([this] { run(); }) {}

StageThread::~StageThread() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void StageThread::put(std::function<void()> task) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !waiting_ || error_; });
  if (error_) std::rethrow_exception(error_);
  waiting_ = std::move(task);
  changed_.notify_all();
}

void StageThread::finish() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !waiting_ && !running_; });
  if (error_) std::rethrow_exception(error_);
}

void StageThread::reset() {
  std::unique_lock lock(mutex_);
  waiting_ = nullptr;
  changed_.wait(lock, [this] { return !running_; });
  error_ = nullptr;
}

void StageThread::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return waiting_ || closed_; });
    if (!waiting_) return;
    std::function<void()> task = std::exchange(waiting_, nullptr);
    running_ = true;
    changed_.notify_all();
    lock.unlock();
    std::exception_ptr error;
    try {
      task();
    } catch (...) {
      error = std::current_exception();
    }
    task = nullptr;  // frees its tensors before finish() returns
    lock.lock();
    running_ = false;
    if (error) {
      error_ = std::move(error);
      waiting_ = nullptr;
    }
    changed_.notify_all();
  }
}

RenderLine::RenderLine(at::Device device, std::optional<at::Device> decoder_device)
    : device_(device), decoder_device_(decoder_device.value_or(device)) {
  const auto stream_on = [](at::Device on) -> std::optional<c10::Stream> {
    if (on.is_cpu()) return {};
    return VirtualGuardImpl(on.type()).getStreamFromGlobalPool(on);
  };
  denoise_stream_ = stream_on(device_);
  decode_stream_ = stream_on(decoder_device_);
}

RenderLine::Run::Run(RenderLine& line, Overlap overlap, int decoder_parts, Profile& profile)
    : line_(line),
      overlap_(overlap),
      profile_(profile),
      all_threads_(at::get_num_threads()),
      // Stages share the processor where both compute on it.
      threads_(threads_per_stage(line.device_.is_cpu() ? line.decoder_device_ : line.device_)),
      halves_(overlap == Overlap::kOn && decoder_stages(line.decoder_device_, threads_, decoder_parts) == 2),
      one_video_(line.in_use_) {
  synchronize(line.device_);
  synchronize(line.decoder_device_);
  denoising_.emplace(threads_, line.denoise_stream_);
}

}  // namespace flashblock
