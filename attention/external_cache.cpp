#include "attention/external_cache.h"

namespace flashblock {

int64_t CachedExternal::bytes() const {
  int64_t bytes = 0;
  for (const at::Tensor& x : {state.output, state.lse, query, mean_key, selected.keys, selected.values})
    if (x.defined()) bytes += int64_t(x.nbytes());
  return bytes;
}

}  // namespace flashblock
