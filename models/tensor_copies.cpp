#include "models/tensor_copies.h"

#include "core/check.h"

#ifdef FLASHBLOCK_CUDA
#include <cstdint>
#include <optional>

#include "attention/cuda_launch.h"
#include "models/kernels/row_copies.h"
#endif

namespace flashblock {

#ifdef FLASHBLOCK_CUDA
namespace {

constexpr int64_t kVectorBytes = 16;

/// The copy for the kernel. Nothing if it does not support it.
std::optional<RowCopy> row_copy(const at::Tensor& to, const at::Tensor& from) {
  const int64_t bytes = from.element_size();
  int64_t row = 1, inner = from.dim();  // dimensions from `inner` on are contiguous in both
  while (inner > 0 && (from.size(inner - 1) == 1 || (from.stride(inner - 1) == row && to.stride(inner - 1) == row)))
    row *= from.size(--inner);
  const auto aligned = [](const at::Tensor& x) {
    return reinterpret_cast<uintptr_t>(x.const_data_ptr()) % kVectorBytes;
  };
  if (row * bytes % kVectorBytes != 0 || aligned(to) != 0 || aligned(from) != 0 || from.numel() >= 1LL << 31) return {};
  RowCopy copy{.from = from.const_data_ptr(),
               .to = to.data_ptr(),
               .sizes = {1, 1, 1},
               .vectors = static_cast<uint32_t>(row * bytes / kVectorBytes),
               .from_strides = {},
               .to_strides = {}};
  int outer = 3;
  while (inner-- > 0) {
    if (from.size(inner) == 1) continue;
    const int64_t from_stride = from.stride(inner) * bytes, to_stride = to.stride(inner) * bytes;
    const auto goes_on = [&](int64_t stride, const int64_t* of) {  // as one dimension with the one inside it
      return stride == kVectorBytes * of[outer] * copy.sizes[outer];
    };
    if (outer < 3 && goes_on(from_stride, copy.from_strides) && goes_on(to_stride, copy.to_strides)) {
      copy.sizes[outer] *= static_cast<uint32_t>(from.size(inner));
      continue;
    }
    if (outer == 0 || from_stride % kVectorBytes != 0 || to_stride % kVectorBytes != 0) return {};
    --outer;
    copy.sizes[outer] = static_cast<uint32_t>(from.size(inner));
    copy.from_strides[outer] = from_stride / kVectorBytes;
    copy.to_strides[outer] = to_stride / kVectorBytes;
  }
  return copy;
}

}  // namespace
#endif

void copy_tensors(at::ArrayRef<TensorCopy> copies) {
#ifdef FLASHBLOCK_CUDA
  RowCopies together{.copies = {}, .count = 0};
  const at::Tensor* on = nullptr;
  const auto launch_those = [&] {
    if (together.count > 0) launch(launch_row_copies, together, *on, "row_copies");
    together.count = 0;
  };
#endif
  for (const auto& [to, from] : copies) {
    FB_CHECK(to.sizes() == from.sizes() && to.dtype() == from.dtype() && to.device() == from.device());
    if (from.numel() == 0) continue;
#ifdef FLASHBLOCK_CUDA
    if (const auto copy = from.is_cuda() ? row_copy(to, from) : std::nullopt) {
      on = &from;
      together.copies[together.count++] = *copy;
      if (together.count == RowCopies::kMost) launch_those();
      continue;
    }
#endif
    to.copy_(from);
  }
#ifdef FLASHBLOCK_CUDA
  launch_those();
#endif
}

}  // namespace flashblock
