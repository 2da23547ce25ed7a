#include "models/layer_provider.h"

#include <ATen/ops/empty_like.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <utility>

#include "core/mapped_file.h"

namespace flashblock {
namespace {

using c10::impl::VirtualGuardImpl;

c10::Stream current_stream(at::Device device) { return VirtualGuardImpl(device.type()).getStream(device); }

c10::Event mark(c10::Stream stream) {
  c10::Event event(stream.device_type());
  event.record(stream);
  return event;
}

}  // namespace

LayerProvider::LayerProvider(std::vector<LayerWeights> layers) : layers_(std::move(layers)) {}

LayerProvider::LayerProvider(int64_t layers, Read read, at::Device device)
    : count_(layers), read_(std::move(read)), device_(device) {
  if (device.is_cpu()) return;
  copy_stream_ = VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
  for (int64_t i = 0; i < layers; ++i) {
    layers_.push_back(read_(i));
    for (at::Tensor* tensor : tensors_of(layers_.back())) *tensor = tensor->pin_memory();
  }
}

LayerProvider::~LayerProvider() {
  if (last_walk_) last_walk_->synchronize();
}

LayerProvider::Walk::Walk(LayerProvider& provider) : provider_(provider) {
  if (!provider.streamed()) return;
  lock_ = std::unique_lock(provider.mutex_);
  if (provider.last_walk_) provider.last_walk_->block(current_stream(provider.device_));
}

LayerProvider::Walk::~Walk() {
  if (provider_.copy_stream_) provider_.last_walk_ = mark(current_stream(provider_.device_));
}

const LayerWeights& LayerProvider::Walk::layer(int64_t index) {
  return provider_.streamed() ? provider_.fetch(index) : provider_.layers_[static_cast<size_t>(index)];
}

const LayerWeights& LayerProvider::fetch(int64_t index) {
  if (slots_[current_].layer != index) {
    current_ = 1 - current_;
    if (slots_[current_].layer != index) fill(slots_[current_], index);
  }
  Slot& slot = slots_[current_];
  if (slot.filled) slot.filled->block(current_stream(device_));
  const int64_t next = (index + 1) % count_;
  Slot& other = slots_[1 - current_];
  if (next != index && other.layer != next) fill(other, next);
  return slot.weights;
}

void LayerProvider::fill(Slot& slot, int64_t layer) {
  slot.layer = -1;  // stays so if reading fails
  if (device_.is_cpu()) {
    for (const at::Tensor* tensor : tensors_of(slot.weights)) {  // some may be views into the file
      if (!tensor->defined()) continue;
      MappedFile::release({static_cast<const std::byte*>(tensor->const_data_ptr()), tensor->nbytes()});
    }
    slot.weights = {};
    slot.weights = read_(layer);
  } else {
    copy_to_device(slot, layers_[static_cast<size_t>(layer)]);
  }
  slot.layer = layer;
}

// The copy waits for all work queued on the current stream so far, which may read the slot.
void LayerProvider::copy_to_device(Slot& slot, const LayerWeights& from) {
  mark(current_stream(device_)).block(*copy_stream_);
  const c10::StreamGuard guard(*copy_stream_);
  LayerWeights source = from;
  const std::vector<at::Tensor*> sources = tensors_of(source), targets = tensors_of(slot.weights);
  for (size_t i = 0; i < sources.size(); ++i) {
    if (!targets[i]->defined()) *targets[i] = at::empty_like(*sources[i], sources[i]->options().device(device_));
    targets[i]->copy_(*sources[i], /*non_blocking=*/true);
  }
  slot.filled = mark(*copy_stream_);
}

}  // namespace flashblock
