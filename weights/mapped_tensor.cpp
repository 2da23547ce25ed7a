#include "weights/mapped_tensor.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <cstdint>
#include <cstring>

namespace flashblock {

at::Tensor mapped_tensor(const std::shared_ptr<const MappedFile>& file, const std::byte* data,
                         const std::vector<int64_t>& shape, at::ScalarType dtype) {
  if (reinterpret_cast<uintptr_t>(data) % c10::elementSize(dtype) == 0)
    return at::from_blob(
        const_cast<std::byte*>(data), shape, [file](void*) {}, dtype);
  at::Tensor copy = at::empty(shape, dtype);
  if (copy.nbytes() > 0) std::memcpy(copy.mutable_data_ptr(), data, copy.nbytes());
  return copy;
}

}  // namespace flashblock
