#include "pipeline/device_stream.h"

#include <c10/core/impl/VirtualGuardImpl.h>

namespace flashblock {

using c10::impl::VirtualGuardImpl;

DeviceStream::DeviceStream(at::Device device) {
  if (!device.is_cpu()) stream_ = VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
}

std::unique_ptr<c10::StreamGuard> DeviceStream::enter() const {
  return stream_ ? std::make_unique<c10::StreamGuard>(*stream_) : nullptr;
}

HandedTensor::HandedTensor(at::Tensor tensor) : tensor_(std::move(tensor)) {
  if (!tensor_.defined() || tensor_.is_cpu()) return;
  made_ = std::make_shared<c10::Event>(tensor_.device().type());
  made_->record(VirtualGuardImpl(tensor_.device().type()).getStream(tensor_.device()));
}

at::Tensor HandedTensor::receive() const {
  if (made_) {
    const c10::Stream reader = VirtualGuardImpl(tensor_.device().type()).getStream(tensor_.device());
    made_->block(reader);
    tensor_.record_stream(reader);
  }
  return tensor_;
}

void synchronize(at::Device device) {
  if (!device.is_cpu()) VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
}

}  // namespace flashblock
