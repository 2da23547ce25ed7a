#include "vae/feature_cache.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <vector>

#include "core/check.h"

namespace flashblock {

at::Tensor FeatureCache::open_window(const std::string& slot, int64_t history_frames, int64_t frames,
                                     at::IntArrayRef frame_sizes, const at::TensorOptions& options) {
  std::vector<int64_t> sizes{history_frames};
  sizes.insert(sizes.end(), frame_sizes.begin(), frame_sizes.end());
  at::Tensor& history = slots_[slot];
  if (!history.defined()) history = at::zeros(sizes, options);
  FB_CHECK(history.sizes() == at::IntArrayRef(sizes), "slot ", slot,
           " holds frames of another size; reset between videos");
  sizes[0] += frames;
  at::Tensor window = at::empty(sizes, options);
  window.narrow(0, 0, history_frames).copy_(history);
  return window;
}

void FeatureCache::keep_last(const std::string& slot, int64_t history_frames, const at::Tensor& window) {
  slots_.at(slot).copy_(window.narrow(0, window.size(0) - history_frames, history_frames));
}

int64_t FeatureCache::bytes() const {
  int64_t bytes = 0;
  for (const auto& [slot, history] : slots_) bytes += static_cast<int64_t>(history.nbytes());
  return bytes;
}

}  // namespace flashblock
