// Reads PNG and JPEG images as tensors.
#pragma once

#include <cstdint>
#include <filesystem>

namespace at {
class Tensor;
}

namespace flashblock {

/// Reads an image as viewers show it: upright, as its EXIF data say, and on white where it is transparent.
/// Shape: [3, H, W] float32 in [0, 1]. Throws: MediaError if it cannot be read or is neither PNG nor JPEG.
at::Tensor read_image(const std::filesystem::path& file);

/// The same, fitted to `width` x `height` (fill_size). Shape: [3, height, width] float32 in [0, 1]. Throws: MediaError.
at::Tensor read_image(const std::filesystem::path& file, int64_t width, int64_t height);

/// Fits an image to `width` x `height`: crops the largest centred part of that aspect ratio and resizes it (area
/// averaging down, Lanczos up). `pixel_aspect`: width of a pixel of `rgb` by its height.
/// Shape: rgb [H, W, 3] uint8 on the CPU, contiguous; returns [height, width, 3].
at::Tensor fill_size(const at::Tensor& rgb, int64_t width, int64_t height, double pixel_aspect = 1);

}  // namespace flashblock
