// Tensors that view a memory-mapped file.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <memory>
#include <vector>

#include "core/mapped_file.h"

namespace flashblock {

/// A contiguous CPU tensor that views `data` in `file` and keeps the mapping alive. Data that is not aligned to its
/// element size is copied, since kernels cannot read it in place.
/// Requires: the data of `shape` and `dtype` lies inside the file.
at::Tensor mapped_tensor(const std::shared_ptr<const MappedFile>& file, const std::byte* data,
                         const std::vector<int64_t>& shape, at::ScalarType dtype);

}  // namespace flashblock
