// Weights of the layers, resident on the device or streamed to it.
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

/// Where the weights of a model's layers are stored. Does not change any result.
enum class LayerPlacement {
  kResident,  ///< all on the device
  kStreamed,  ///< two layers on the device: the current one and the next. The others are in pinned host memory and are
              ///< copied on a separate stream; on the CPU they are read from their file
};

/// Provides the layers' weights in the order of forward passes.
/// Thread safety: concurrent walks over streamed layers wait for each other.
class LayerProvider {
 public:
  /// Reads a layer's weights into host memory, in the compute dtype.
  using Read = std::function<LayerWeights(int64_t layer)>;

  /// Resident layers.
  explicit LayerProvider(std::vector<LayerWeights> layers);
  /// Streams `layers` layers to `device`. On a GPU `read` is called once per layer, here; on the CPU once per layer and
  /// walk.
  LayerProvider(int64_t layers, Read read, at::Device device);
  ~LayerProvider();

  /// One pass over the layers. On a GPU it works on the current stream of the calling thread.
  class Walk {
   public:
    /// The weights of a layer, valid until the next call. Fastest in ascending order from 0.
    const LayerWeights& layer(int64_t index);
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
    LayerWeights weights;
    std::optional<c10::Event> filled;  // on a GPU: the copy is done
  };

  bool streamed() const { return count_ > 0; }
  const LayerWeights& fetch(int64_t index);
  void fill(Slot& slot, int64_t layer);
  void copy_to_device(Slot& slot, const LayerWeights& from);

  std::vector<LayerWeights> layers_;  // resident, or in pinned memory
  int64_t count_ = 0;                 // streamed layers
  Read read_;
  at::Device device_ = at::kCPU;
  std::optional<c10::Stream> copy_stream_;
  std::optional<c10::Event> last_walk_;  // on a GPU: the end of the previous walk
  std::array<Slot, 2> slots_;
  size_t current_ = 0;
  std::mutex mutex_;
};

}  // namespace flashblock
