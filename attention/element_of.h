// The element type of a tensor, as kernels name it.
#pragma once

#include <ATen/core/Tensor.h>

#include "attention/kernels/element.h"

namespace flashblock {

/// Requires: float32 or bfloat16.
inline Element element_of(const at::Tensor& x) {
  return x.scalar_type() == at::kFloat ? Element::kFloat32 : Element::kBfloat16;
}

}  // namespace flashblock
