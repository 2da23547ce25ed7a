// Reads PNG and JPEG images as tensors.
#pragma once

#include <cstdint>
#include <filesystem>

namespace at {
class Tensor;
}

namespace flashblock {

/// Reads an image; applies a JPEG's EXIF orientation and drops transparency.
/// Shape: [3, H, W] float32 in [0, 1]. Throws: MediaError if it cannot be read or is neither PNG nor JPEG.
at::Tensor read_image(const std::filesystem::path& file);

/// Reads an image and fits it to `width` x `height`: crops the largest centred part of that aspect ratio and resizes it
/// (area averaging down, Lanczos up). Shape: [3, height, width] float32 in [0, 1]. Throws: MediaError.
at::Tensor read_image(const std::filesystem::path& file, int64_t width, int64_t height);

/// The same for images in memory. Shape: [T, 3, H, W] float in [0, 1] -> [T, 3, height, width] float32.
at::Tensor fill_size(const at::Tensor& frames, int64_t width, int64_t height);

}  // namespace flashblock
