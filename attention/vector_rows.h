// What the CUDA kernels ask of their tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace flashblock {

/// Whether the rows of x [B, L, N, D], of 16-bit elements, can be read 16 bytes at a time.
inline bool has_vector_rows(const at::Tensor& x) {
  return x.stride(3) == 1 && x.stride(0) % 8 == 0 && x.stride(1) % 8 == 0 && x.stride(2) % 8 == 0 &&
         reinterpret_cast<uintptr_t>(x.const_data_ptr()) % 16 == 0;
}

}  // namespace flashblock
