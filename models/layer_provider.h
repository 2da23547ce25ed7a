// The weights of the layers, one after another, from wherever they are kept.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "models/transformer_weights.h"

namespace flashblock {

/// Where the weights of a model's layers are while they are not at work. The numbers that come out do not depend on it.
enum class LayerPlacement {
  kResident,  ///< on the device, all of them
  kStreamed,  ///< two layers on the device: the one at work and the next. The others wait in pinned host memory and are
              ///< copied on a stream of their own; on the CPU they stay in their file.
};

/// Gives the layers' weights in the order of a forward pass, again and again.
/// Thread safety: walks of several threads take turns where the layers are streamed.
class LayerProvider {
 public:
  /// Makes a layer's weights in host memory, in the dtype they are computed in.
  using Read = std::function<LayerWeights(int64_t layer)>;

  /// All layers stay where they are.
  explicit LayerProvider(std::vector<LayerWeights> layers);
  /// Streams `layers` layers to `device`. On a GPU `read` is called here, for each layer once; on the CPU it is called
  /// for each layer of each walk.
  LayerProvider(int64_t layers, Read read, at::Device device);
  ~LayerProvider();

  /// One pass over the layers. On a GPU it is for the stream that is current on the calling thread.
  class Walk {
   public:
    /// The weights of a layer; they are valid until the next call. Cheapest in rising order from 0.
    const LayerWeights& layer(int64_t index);
    ~Walk();
    Walk(const Walk&) = delete;
    Walk& operator=(const Walk&) = delete;

   private:
    friend class LayerProvider;
    explicit Walk(LayerProvider& supply);
    LayerProvider& supply_;
    std::unique_lock<std::mutex> turn_;
  };
  Walk walk() { return Walk(*this); }

 private:
  struct Slot {
    int64_t layer = -1;
    LayerWeights weights;
    std::optional<c10::Event> filled;  // on a GPU: the copy is done
  };

  bool streamed() const { return count_ > 0; }
  const LayerWeights& bring(int64_t index);
  void fill(Slot& slot, int64_t layer);
  void copy_to_device(Slot& slot, const LayerWeights& from);

  std::vector<LayerWeights> layers_;  // resident, or in pinned memory
  int64_t count_ = 0;                 // layers that are streamed
  Read read_;
  at::Device device_ = at::kCPU;
  std::optional<c10::Stream> copies_;
  std::optional<c10::Event> last_walk_;  // on a GPU: all work of the walk before
  std::array<Slot, 2> slots_;
  size_t current_ = 0;
  std::mutex mutex_;
};

}  // namespace flashblock
