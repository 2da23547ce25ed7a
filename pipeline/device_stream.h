// Streams of a device, for stages that overlap on one GPU. On the CPU all of this does nothing.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>
#include <c10/core/StreamGuard.h>

#include <memory>
#include <optional>

namespace flashblock {

/// A queue of work on a device. Thread safety: one thread enters it.
class DeviceStream {
 public:
  explicit DeviceStream(at::Device device);

  /// Work of this thread goes to this stream until the guard is destroyed.
  [[nodiscard]] std::unique_ptr<c10::StreamGuard> enter() const;

 private:
  std::optional<c10::Stream> stream_;
};

/// A tensor on its way from one stream to another.
class HandedTensor {
 public:
  HandedTensor() = default;
  /// Call it on the stream that makes the tensor.
  explicit HandedTensor(at::Tensor tensor);

  /// Call it on the stream that reads the tensor: work put there afterwards waits until the tensor is made.
  at::Tensor receive() const;

 private:
  at::Tensor tensor_;
  std::shared_ptr<c10::Event> made_;
};

/// Waits until all work on the device is done.
void synchronize(at::Device device);

}  // namespace flashblock
