// How much memory this process uses, and how much some work uses for its tensors.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <memory>

namespace flashblock {

/// Memory of the process that is in use now, mapped files included, in bytes. Source: proc(5), statm.
int64_t memory_bytes();
/// Memory of the machine that programs can still take without swapping, in bytes. Source: proc(5), MemAvailable.
int64_t available_memory_bytes();
/// The peak since the program started. Source: proc(5), VmHWM. (getrusage would include the memory of the program
/// that started this one.)
int64_t peak_memory_bytes();
/// The peak of tensor memory on the device, in bytes; 0 for the CPU.
int64_t peak_device_memory_bytes(at::Device device);
/// From here on that is the peak since this call.
void reset_peak_device_memory(at::Device device);
/// Memory that tensors can use without further allocation: on a GPU what LibTorch has reserved, in use or cached;
/// on the CPU memory_bytes().
int64_t held_memory_bytes(at::Device device);
/// Memory that a GPU has left for tensors, including what LibTorch has cached; 0 for the CPU.
int64_t free_device_memory_bytes(at::Device device);

/// Counts the memory of the tensors on one device that the calling thread allocates and frees during its lifetime.
/// Memory of LibTorch's worker threads and of other libraries is not counted. Thread safety: one thread, one at a time.
class MemoryMeter {
 public:
  /// Tensors of `small` bytes and more count as large, for peak_of_small.
  explicit MemoryMeter(at::Device device, int64_t small = 0);
  ~MemoryMeter();
  MemoryMeter(const MemoryMeter&) = delete;
  MemoryMeter& operator=(const MemoryMeter&) = delete;

  /// Bytes held now by tensors that were allocated since the meter was made.
  int64_t held() const;
  /// The peak since the meter was made or the peak was reset.
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
