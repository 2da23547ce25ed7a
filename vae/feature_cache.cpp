#include "vae/feature_cache.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <set>
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

std::vector<at::Tensor> FeatureCache::last_frames(const std::string& slot, int64_t count, at::IntArrayRef frame_sizes,
                                                  const at::TensorOptions& options) {
  std::vector<at::Tensor>& frames = frames_[slot];
  if (frames.empty()) frames.assign(static_cast<size_t>(count), at::zeros(frame_sizes, options));
  FB_CHECK(static_cast<int64_t>(frames.size()) == count && frames.front().sizes() == frame_sizes, "slot ", slot,
           " holds frames of another size; reset between videos");
  return frames;
}

void FeatureCache::keep_frames(const std::string& slot, const at::Tensor& frames) {
  std::vector<at::Tensor>& kept = frames_.at(slot);
  const int64_t count = frames.size(0), history = static_cast<int64_t>(kept.size()), latest = std::min(count, history);
  kept.erase(kept.begin(), kept.begin() + latest);
  const at::Tensor last = frames.narrow(0, count - latest, latest);
  for (const at::Tensor& frame : (count > history ? last.clone() : last).unbind(0)) kept.push_back(frame);
}

int64_t FeatureCache::bytes() const {
  int64_t bytes = 0;
  for (const auto& [slot, history] : slots_) bytes += static_cast<int64_t>(history.nbytes());
  std::set<const void*> counted;  // a frame keeps the memory of all frames of its call
  for (const auto& [slot, frames] : frames_)
    for (const at::Tensor& frame : frames)
      if (counted.insert(frame.storage().data()).second) bytes += static_cast<int64_t>(frame.storage().nbytes());
  return bytes;
}

}  // namespace flashblock
