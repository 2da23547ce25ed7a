// Processes that compute one thing together, and how they exchange tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "core/error.h"

namespace flashblock {

/// A tensor on its way to a process, or from it.
struct Transfer {
  int64_t rank = 0;   ///< of the other process; this one's own: copied
  at::Tensor tensor;  ///< contiguous
};

/// Another process of the group has ended.
class ProcessLost : public DeviceError {
 public:
  ProcessLost(int64_t rank, const std::string& message) : DeviceError(message), rank_(rank) {}
  int64_t rank() const { return rank_; }

 private:
  int64_t rank_;
};

/// `size` processes, numbered by `rank`, each with one device. All call the same members in the same order.
/// Thread safety: one thread at a time, but for lost(), bytes_sent() and check().
class ProcessGroup {
 public:
  ProcessGroup(int64_t rank, int64_t size) : rank_(rank), size_(size) {}
  virtual ~ProcessGroup() = default;
  ProcessGroup(const ProcessGroup&) = delete;
  ProcessGroup& operator=(const ProcessGroup&) = delete;

  int64_t rank() const { return rank_; }
  int64_t size() const { return size_; }

  /// Sends and receives all at once. What process a sends to b, in this order, is what b receives from a, in this
  /// order, of the same sizes and dtypes. On a GPU the work is queued on the current stream, like a kernel.
  /// Throws: ProcessLost.
  void exchange(const std::vector<Transfer>& sends, const std::vector<Transfer>& receives) const;

  /// Memory for a message to another process, and from it: as good as any other for exchange(), or better, as nothing
  /// needs to be sent which was written there. It may be used until the second exchange from now.
  virtual at::Tensor room_to(int64_t rank, at::IntArrayRef sizes, const at::TensorOptions& options) const;
  virtual at::Tensor room_from(int64_t rank, at::IntArrayRef sizes, const at::TensorOptions& options) const;

  /// The sum over all processes: the same bits in each. `x` has the same shape in all of them. Virtual, so that the
  /// attention library, which is installed without core's sources, can call it.
  virtual at::Tensor sum(const at::Tensor& x) const;

  /// Bytes sent to other processes since the start.
  int64_t bytes_sent() const { return bytes_sent_; }

  /// Ends exchanges that wait for the process `rank`, which has ended: from now on they throw.
  virtual void lost(int64_t /*rank*/) {}
  /// Throws: ProcessLost after lost(). What a GPU has computed is complete only if this, called afterwards, does not.
  virtual void check() const {}

 protected:
  /// Each process's tensor, by rank. `own` has the same shape and dtype in all of them.
  std::vector<at::Tensor> gather(const at::Tensor& own) const;
  /// Without transfers of the process to itself.
  virtual void exchange_with_others(const std::vector<Transfer>& sends,
                                    const std::vector<Transfer>& receives) const = 0;

 private:
  int64_t rank_, size_;
  mutable std::atomic<int64_t> bytes_sent_ = 0;
};

}  // namespace flashblock
