// Contact sheets: one image with small frames of a whole video.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace flashblock {

/// Collects evenly spaced frames during a render and writes them as one PNG: a grid with the time of each image below
/// it. Only these images are kept in memory.
/// Thread safety: none; one thread at a time.
class ContactSheet {
 public:
  /// `video_frames`: the video's length; `images`: how many to show, at most one per frame.
  ContactSheet(int64_t video_frames, int64_t fps, int64_t images = 12);

  /// Takes the images that it needs from the video's next frames. Frames beyond `video_frames` are ignored.
  /// Shape: `frames` [T, 3, H, W] float in [0, 1] or [T, H, W, 3] uint8, on the CPU; returns what was taken,
  /// [n, H, W, 3] uint8, or an undefined tensor for none.
  at::Tensor add(const at::Tensor& frames);

  /// Replays add() of `frames` frames that took the images `taken`, for a video that is resumed.
  void add_taken(int64_t frames, const at::Tensor& taken);

  /// Writes the sheet with the images so far. Throws: MediaError if there are none, or if writing fails.
  void write(const std::filesystem::path& file) const;

 private:
  /// The frame that the next image shows; none if the sheet is complete.
  std::optional<int64_t> next_frame() const;

  struct Image {
    double seconds;
    at::Tensor rgb;  ///< [H, W, 3] uint8
  };
  int64_t video_frames_;
  int64_t fps_;
  int64_t wanted_;
  int64_t seen_frames_ = 0;
  std::vector<Image> images_;
};

}  // namespace flashblock
