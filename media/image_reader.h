// Reads PNG and JPEG images as tensors.
#pragma once

#include <cstdint>
#include <filesystem>

namespace at {
class Tensor;
}

namespace flashblock {

/// Reads an image as it is; a JPEG's EXIF orientation is applied, transparency is dropped.
/// Shape: [3, H, W] float32 in [0, 1]. Throws: MediaError if it cannot be read or is neither PNG nor JPEG.
at::Tensor read_image(const std::filesystem::path& file);

/// Reads an image and makes it fill `width` x `height`: the largest centred part of that shape is cut out and resized
/// (area averaging down, Lanczos up). Shape: [3, height, width] float32 in [0, 1]. Throws: MediaError.
at::Tensor read_image(const std::filesystem::path& file, int64_t width, int64_t height);

/// The same for images in memory. Shape: [T, 3, H, W] float in [0, 1] -> [T, 3, height, width] float32.
at::Tensor fill_size(const at::Tensor& frames, int64_t width, int64_t height);

}  // namespace flashblock
