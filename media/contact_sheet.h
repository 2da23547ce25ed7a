// A sheet of small pictures that shows a whole film at a glance.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <vector>

namespace flashblock {

/// Collects pictures, evenly spaced over a film, while the film passes by, and writes them as one PNG: a grid with the
/// time of each picture below it. Only these pictures are kept.
/// Thread safety: none inside; one thread at a time.
class ContactSheet {
 public:
  /// `film_frames`: the film's length; `pictures`: how many to show, at most one per frame.
  ContactSheet(int64_t film_frames, int64_t fps, int64_t pictures = 12);

  /// Takes what it needs of the film's next frames. Frames beyond `film_frames` are left out.
  /// Shape: `frames` [T, 3, H, W] float in [0, 1] or [T, H, W, 3] uint8, on the CPU.
  void add(const at::Tensor& frames);

  /// Draws the sheet with the pictures so far. Throws: MediaError if there are none, or on a failure to write.
  void write(const std::filesystem::path& file) const;

 private:
  struct Picture {
    double seconds;
    at::Tensor rgb;  ///< [H, W, 3] uint8
  };
  int64_t film_frames_;
  int64_t fps_;
  int64_t wanted_;
  int64_t seen_frames_ = 0;
  std::vector<Picture> pictures_;
};

}  // namespace flashblock
