// Memory of GPUs that others of the same host write to directly.
#pragma once

#ifdef FLASHBLOCK_CUDA

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace flashblock {

/// Of a GPU in a group of GPUs, one process each: an inbox for every other one, and theirs for this one. What a kernel
/// writes to room_to(b) before signal() is found in room_from(a) by b's kernels after its signal(). All call signal()
/// equally often; one round of rooms lasts until the second signal() from then, so that what was received may be read
/// until then, and nothing waits for its reader.
class PeerMemory {
 public:
  /// Gives all processes some bytes and returns those of each, by rank. Both on the CPU, all of one size.
  using Share = std::function<std::vector<at::Tensor>(const at::Tensor& own)>;

  /// Null in all processes if one of them cannot reach another's memory; a GPU of the same process cannot, since two
  /// that wait for each other must not share what the driver locks. `count` processes, this one is `rank`.
  static std::unique_ptr<PeerMemory> connect(int64_t rank, int64_t count, at::Device device, const Share& share);
  ~PeerMemory();
  PeerMemory(const PeerMemory&) = delete;
  PeerMemory& operator=(const PeerMemory&) = delete;

  /// Of one message; larger ones have no room.
  int64_t room_bytes() const { return room_bytes_; }
  /// In the inbox of the process `rank` for this one. Requires: at most room_bytes().
  at::Tensor room_to(int64_t rank, at::IntArrayRef sizes, const at::TensorOptions& options) const;
  /// In this process's inbox for `rank`.
  at::Tensor room_from(int64_t rank, at::IntArrayRef sizes, const at::TensorOptions& options) const;
  /// Whether a tensor is in one of the rooms.
  bool holds(const at::Tensor& tensor) const;

  /// Queued on the current stream: waits until all the others have signalled as often. Throws: DeviceError.
  void signal();
  /// Ends the waiting of signal() for good.
  void give_up();

 private:
  PeerMemory(int64_t rank, int64_t count, at::Device device);
  /// Whether the memory of the process `rank` can be reached; then it is in memory_.
  bool open(int64_t rank, const at::Tensor& handle);
  char* room(int64_t in, int64_t from) const;

  int64_t rank_, room_bytes_;
  at::Device device_;
  std::vector<char*> memory_;  ///< by rank, this process's own among them: counters, then two rounds of rooms
  std::vector<char*> opened_;  ///< of memory_: to be closed
  int* given_up_ = nullptr;    ///< on the host
  uint32_t signals_ = 0;
};

}  // namespace flashblock

#endif
