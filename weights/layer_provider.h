// Weights of the layers, resident on the device or streamed to it.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/Device.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "core/mapped_file.h"

namespace flashblock {

/// Where the weights of a model's layers are stored. Does not change any result.
enum class LayerPlacement {
  kResident,  ///< all on the device
  kStreamed,  ///< two layers on the device: the current one and the next. The others are in pinned host memory and are
              ///< copied on a separate stream; on the CPU they are read from their file
};

/// Provides the layers' weights in the order of forward passes. `Layer` holds the weights of one layer;
/// `tensors_of(layer)`, in its namespace, gives pointers to its tensors, always in the same order; some may be
/// undefined, the same ones in all layers.
/// Thread safety: concurrent walks over streamed layers wait for each other.
template <typename Layer>
class LayerProvider {
 public:
  /// Reads a layer's weights into host memory, in the compute dtype.
  using Read = std::function<Layer(int64_t layer)>;

  /// Resident layers.
  explicit LayerProvider(std::vector<Layer> layers) : layers_(std::move(layers)) {}
  /// Streams `layers` layers to `device`. On a GPU `read` is called once per layer, here; on the CPU once per layer and
  /// walk.
  LayerProvider(int64_t layers, Read read, at::Device device);
  ~LayerProvider();

  /// One pass over the layers. On a GPU it works on the current stream of the calling thread.
  class Walk {
   public:
    /// The weights of a layer, valid until the next call. Fastest in ascending order from 0.
    const Layer& layer(int64_t index);
    ~Walk();
    Walk(const Walk&) = delete;
    Walk& operator=(const Walk&) = delete;

   private:
    friend class LayerProvider;
    explicit Walk(LayerProvider& provider);
    LayerProvider& provider_;
    std::unique_lock<std::mutex> lock_;
  };
  Walk walk() { return Walk(*this); }

 private:
  struct Slot {
    int64_t layer = -1;
    Layer weights;
    std::optional<c10::Event> filled;  // on a GPU: the copy is done
  };

  bool streamed() const { return count_ > 0; }
  const Layer& fetch(int64_t index);
  void fill(Slot& slot, int64_t layer);
  void copy_to_device(Slot& slot, const Layer& from);

  std::vector<Layer> layers_;  // resident, or in pinned memory
  int64_t count_ = 0;          // streamed layers
  Read read_;
  at::Device device_ = at::kCPU;
  std::optional<c10::Stream> copy_stream_;
  std::optional<c10::Event> last_walk_;  // on a GPU: the end of the previous walk
  std::array<Slot, 2> slots_;
  size_t current_ = 0;
  std::mutex mutex_;
};

namespace internal {

inline c10::Stream current_stream(at::Device device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device);
}

inline c10::Event mark_stream(c10::Stream stream) {
  c10::Event event(stream.device_type());
  event.record(stream);
  return event;
}

}  // namespace internal

template <typename Layer>
LayerProvider<Layer>::LayerProvider(int64_t layers, Read read, at::Device device)
    : count_(layers), read_(std::move(read)), device_(device) {
  if (device.is_cpu()) return;
  copy_stream_ = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
  for (int64_t i = 0; i < layers; ++i) {
    layers_.push_back(read_(i));
    for (at::Tensor* tensor : tensors_of(layers_.back()))
      if (tensor->defined()) *tensor = tensor->pin_memory();
  }
}

template <typename Layer>
LayerProvider<Layer>::~LayerProvider() {
  if (last_walk_) last_walk_->synchronize();
}

template <typename Layer>
LayerProvider<Layer>::Walk::Walk(LayerProvider& provider) : provider_(provider) {
  if (!provider.streamed()) return;
  lock_ = std::unique_lock(provider.mutex_);
  if (provider.last_walk_) provider.last_walk_->block(internal::current_stream(provider.device_));
}

template <typename Layer>
LayerProvider<Layer>::Walk::~Walk() {
  if (provider_.copy_stream_) provider_.last_walk_ = internal::mark_stream(internal::current_stream(provider_.device_));
}

template <typename Layer>
const Layer& LayerProvider<Layer>::Walk::layer(int64_t index) {
  return provider_.streamed() ? provider_.fetch(index) : provider_.layers_[static_cast<size_t>(index)];
}

template <typename Layer>
const Layer& LayerProvider<Layer>::fetch(int64_t index) {
  if (slots_[current_].layer != index) {
    current_ = 1 - current_;
    if (slots_[current_].layer != index) fill(slots_[current_], index);
  }
  Slot& slot = slots_[current_];
  if (slot.filled) slot.filled->block(internal::current_stream(device_));
  const int64_t next = (index + 1) % count_;
  Slot& other = slots_[1 - current_];
  if (next != index && other.layer != next) fill(other, next);
  return slot.weights;
}

template <typename Layer>
void LayerProvider<Layer>::fill(Slot& slot, int64_t layer) {
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
template <typename Layer>
void LayerProvider<Layer>::copy_to_device(Slot& slot, const Layer& from) {
  internal::mark_stream(internal::current_stream(device_)).block(*copy_stream_);
  const c10::StreamGuard guard(*copy_stream_);
  Layer source = from;
  const std::vector<at::Tensor*> sources = tensors_of(source), targets = tensors_of(slot.weights);
  for (size_t i = 0; i < sources.size(); ++i) {
    if (!sources[i]->defined()) continue;
    if (!targets[i]->defined()) *targets[i] = at::empty_like(*sources[i], sources[i]->options().device(device_));
    targets[i]->copy_(*sources[i], /*non_blocking=*/true);
  }
  slot.filled = internal::mark_stream(*copy_stream_);
}

}  // namespace flashblock
