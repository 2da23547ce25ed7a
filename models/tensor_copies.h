// Copies between views of tensors, all of them at once.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/ArrayRef.h>

namespace flashblock {

/// Two views of the same sizes and dtype on the same device, which do not overlap.
struct TensorCopy {
  at::Tensor to, from;
};

/// to.copy_(from) for each; on a GPU one kernel for those whose rows are contiguous and of multiples of 16 bytes.
void copy_tensors(at::ArrayRef<TensorCopy> copies);

}  // namespace flashblock
