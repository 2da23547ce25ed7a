// How much memory this process takes, and how much some work takes for its tensors.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <memory>

namespace flashblock {

/// Memory of the process that is in use now, mapped files included, in bytes. Source: proc(5), statm.
int64_t memory_bytes();
/// The most there has been since the program began. Source: proc(5), VmHWM. (getrusage would count what the program
/// that started this one had in use.)
int64_t peak_memory_bytes();
/// The most that tensors took on the device so far, in bytes; 0 for the CPU.
int64_t peak_device_memory_bytes(at::Device device);
/// Memory that tensors can use without asking the system: of a GPU what LibTorch has taken from it, in use or kept for
/// later; for the CPU memory_bytes().
int64_t held_memory_bytes(at::Device device);
/// What a GPU has left for tensors, those that LibTorch keeps for later use included; 0 for the CPU.
int64_t free_device_memory_bytes(at::Device device);

/// Counts the memory of the tensors on one device that the calling thread makes and frees, as long as it lives.
/// What LibTorch's own worker threads and other libraries take is not seen. Thread safety: one thread, no two at once.
class MemoryMeter {
 public:
  /// `small` bytes and more make a tensor large, for peak_of_small.
  explicit MemoryMeter(at::Device device, int64_t small = 0);
  ~MemoryMeter();
  MemoryMeter(const MemoryMeter&) = delete;
  MemoryMeter& operator=(const MemoryMeter&) = delete;

  /// Bytes held now, of what was made since the meter began; tensors of before do not count.
  int64_t held() const;
  /// The most held at once since the meter began or the peak was reset.
  int64_t peak() const;
  /// The same, counting only tensors that are not large.
  int64_t peak_of_small() const;
  void reset_peak();

 private:
  struct Counter;
  struct Scope;
  std::shared_ptr<Counter> counter_;
  std::unique_ptr<Scope> scope_;
};

}  // namespace flashblock
