#include "weights/finite_values.h"

#include <ATen/Parallel.h>
#include <ATen/ops/isfinite.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace flashblock {
namespace {

/// A number is not finite if all bits of its exponent are set.
template <typename Bits>
bool any_has(const void* data, int64_t count, Bits exponent) {
  constexpr int64_t kGrain = 1 << 16;
  const auto* const bits = static_cast<const Bits*>(data);
  std::atomic<bool> found = false;
  at::parallel_for(0, count, kGrain, [&](int64_t begin, int64_t end) {
    Bits any = 0;  // no branch, so that the compiler takes many at once
    for (int64_t i = begin; i < end; ++i) any = static_cast<Bits>(any | ((bits[i] & exponent) == exponent));
    if (any != 0) found = true;
  });
  return found;
}

}  // namespace

bool all_finite(const at::Tensor& values) {
  if (!at::isFloatingType(values.scalar_type())) return true;
  if (!values.is_cpu()) return at::isfinite(values).all().item<bool>();
  const at::Tensor whole = values.contiguous();
  const void* const data = whole.const_data_ptr();
  switch (whole.scalar_type()) {
    case at::kBFloat16:
      return !any_has<uint16_t>(data, whole.numel(), 0x7f80);
    case at::kHalf:
      return !any_has<uint16_t>(data, whole.numel(), 0x7c00);
    case at::kFloat:
      return !any_has<uint32_t>(data, whole.numel(), 0x7f800000);
    default:
      return at::isfinite(whole.to(at::kDouble)).all().item<bool>();
  }
}

}  // namespace flashblock
