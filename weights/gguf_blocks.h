// The block formats of GGUF tensors, and their values.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace flashblock {

/// A type of tensors in GGUF files: rows are whole blocks of `values` values in `bytes` bytes each.
struct GgufType {
  uint32_t number;  ///< in the file
  std::string_view name;
  int64_t values, bytes;
  /// Computes the values of one block; null: plain numbers (F32, F16, BF16).
  void (*unpack)(const uint8_t* block, float* values);
};

/// Null for types that are not supported. Source: ggml-org/ggml `include/ggml.h`, `src/ggml-common.h`.
const GgufType* find_gguf_type(uint32_t number);

/// The values of packed blocks, exactly those of ggml. Shape: `data` uint8, whole blocks; result float32, flat.
/// Requires: a type with `unpack`. Source: ggml `src/ggml-quants.c`, dequantize_row_*.
at::Tensor unpack_gguf_blocks(const at::Tensor& data, const GgufType& type);

}  // namespace flashblock
