// Frames side by side, each with a label above it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace flashblock {

/// `rgb` scaled down to at most `max_width` pixels wide; unchanged if it is not wider.
/// Shape: [T, H, W, 3] uint8 on the CPU; returns [T, H', W', 3].
at::Tensor shrink_frames(const at::Tensor& rgb, int64_t max_width);

/// Arranges frames of one size in rows, each with its name above.
class FrameGrid {
 public:
  /// `names`: one per frame, ASCII. `width`, `height`: of a frame.
  FrameGrid(std::vector<std::string> names, int64_t width, int64_t height);

  /// Of the whole grid; even, as the encoder requires.
  int64_t width() const { return width_; }
  int64_t height() const { return height_; }

  /// Shape: one [H, W, 3] uint8 frame per name, on the CPU; returns [height(), width(), 3].
  at::Tensor draw(const std::vector<at::Tensor>& frames) const;

 private:
  std::vector<std::string> names_;
  int64_t columns_ = 0, label_ = 0, gap_ = 0, frame_width_ = 0, frame_height_ = 0, width_ = 0, height_ = 0;
};

}  // namespace flashblock
