// Tensors over mapped bytes.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <memory>
#include <vector>

#include "core/mapped_file.h"

namespace flashblock {

/// A contiguous CPU tensor over `data`, which lies in `file` and is kept alive by the tensor. Bytes that are not
/// aligned to their elements are copied, since no kernel could read them in place.
/// Requires: the bytes of `shape` and `dtype` lie inside the file.
at::Tensor mapped_tensor(const std::shared_ptr<const MappedFile>& file, const std::byte* data,
                         const std::vector<int64_t>& shape, at::ScalarType dtype);

}  // namespace flashblock
