// Images as JPEG, for HTML pages.
#pragma once

#include <string>

namespace at {
class Tensor;
}

namespace flashblock {

/// One image as the bytes of a JPEG file, full chroma. `quantizer`: 1 (finest) to 31 (coarsest).
/// Shape: [H, W, 3] uint8 on the CPU. Throws: MediaError.
std::string encode_jpeg(const at::Tensor& rgb, int quantizer = 3);

}  // namespace flashblock
