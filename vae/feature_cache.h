// The state of a streaming coder between calls: for each causal convolution the last frames of its input, in a named
// slot.
//
// Note "Frames". Inside vae/, features of consecutive frames are one contiguous tensor [T, H, W, C], channels
// innermost: at once a channels-last frame batch [T, C, H, W] for 2-D convolutions, a channels_last_3d clip [1, C, T,
// H, W] for 3-D ones, and a matrix [THW, C] for norms and 1x1 convolutions; its frames are plain slices. Latents and
// pixels are permuted once, on the way in and out.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace flashblock {

/// Histories of one coder's causal convolutions during one video. Slots are created by their first use.
/// Equals the reference's zero padding at the start, whatever the number of frames per call.
/// Source: Self-Forcing `wan/modules/vae.py`, CACHE_T and feat_cache; exact form: two (or one) frames of zeros at the
/// start of a video, then the last frames of all input so far.
class FeatureCache {
 public:
  /// Whether the slot has been used in this video.
  bool contains(const std::string& slot) const { return slots_.count(slot) + frames_.count(slot) > 0; }

  /// A buffer for the next `frames` frames of a convolution's input, with the slot's history in front.
  /// Shape: frame_sizes [H, W, C]; result [history_frames + frames, H, W, C], the last `frames` of them not yet
  /// written.
  at::Tensor open_window(const std::string& slot, int64_t history_frames, int64_t frames, at::IntArrayRef frame_sizes,
                         const at::TensorOptions& options);

  /// Stores the last `history_frames` of a window, now written, as the history of the slot.
  void keep_last(const std::string& slot, int64_t history_frames, const at::Tensor& window);

  /// For a convolution that reads its history where it is: the last `count` frames that keep_frames was given, oldest
  /// first; at the start of a video those of start_frames, else zeros. Shape: frame_sizes each.
  std::vector<at::Tensor> last_frames(const std::string& slot, int64_t count, at::IntArrayRef frame_sizes,
                                      const at::TensorOptions& options);

  /// Before a slot's first last_frames(), the frames that it gives instead of zeros: `count` times this one.
  void start_frames(const std::string& slot, int64_t count, const at::Tensor& frame) {
    frames_[slot].assign(static_cast<size_t>(count), frame);
  }

  /// Adds the slot's next frames and forgets those before its last ones. As many as the slot holds, or fewer, are not
  /// copied, and must not change. Shape: frames [T, H, W, C].
  void keep_frames(const std::string& slot, const at::Tensor& frames);

  /// Clears all slots, for the next video.
  void reset() { slots_.clear(), frames_.clear(); }

  /// Bytes held; constant once every slot has been used.
  int64_t bytes() const;

 private:
  std::map<std::string, at::Tensor> slots_;                ///< [history_frames, H, W, C] each
  std::map<std::string, std::vector<at::Tensor>> frames_;  ///< of each slot, [H, W, C] each
};

}  // namespace flashblock
