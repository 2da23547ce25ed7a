// Writes images as PNG.
#pragma once

#include <filesystem>

namespace at {
class Tensor;
}

namespace flashblock {

/// Writes one image; the file appears complete or not at all.
/// Shape: [3, H, W] float in [0, 1] or [H, W, 3] uint8, on the CPU. Throws: MediaError.
void write_png(const std::filesystem::path& file, const at::Tensor& image);

}  // namespace flashblock
