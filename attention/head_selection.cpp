#include "attention/head_selection.h"

#include <ATen/Functions.h>

namespace flashblock {

at::Tensor HeadSelection::mask(const at::Tensor& q) const {
  if (kind == Kind::kMasked) return heads;
  const at::Tensor mask = at::full({q.size(2)}, kind == Kind::kAll, q.options().dtype(at::kBool));
  return kind == Kind::kListed ? mask.index_fill(0, heads.to(q.device()), true) : mask;
}

}  // namespace flashblock
