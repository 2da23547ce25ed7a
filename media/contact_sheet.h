// A sheet of small pictures that shows a whole film at a glance.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
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
  /// Shape: `frames` [T, 3, H, W] float in [0, 1] or [T, H, W, 3] uint8, on the CPU; returns what was taken,
  /// [n, H, W, 3] uint8, or an undefined tensor for nothing.
  at::Tensor add(const at::Tensor& frames);

  /// As add() of `frames` frames that took the pictures `taken`: for a film that an earlier run began.
  void add_taken(int64_t frames, const at::Tensor& taken);

  /// Draws the sheet with the pictures so far. Throws: MediaError if there are none, or on a failure to write.
  void write(const std::filesystem::path& file) const;

 private:
  /// The frame of the film that the next picture shows; none if all are there.
  std::optional<int64_t> next_frame() const;

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
