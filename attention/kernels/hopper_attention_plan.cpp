#include "attention/kernels/hopper_attention_plan.h"

#include <algorithm>

namespace flashblock::int8_attention {
namespace {

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// The parts of the workspace, one after the other.
class Workspace {
 public:
  explicit Workspace(void* memory) : next_(static_cast<uint8_t*>(memory)), begin_(next_) {}

  template <typename T>
  T* take(int64_t count) {
    T* result = reinterpret_cast<T*>(next_);
    next_ += divide_up(count * int64_t(sizeof(T)), 256) * 256;
    return result;
  }
  int64_t bytes() const { return next_ - begin_; }

 private:
  uint8_t *next_, *begin_;
};

}  // namespace

Plan plan_of(const Int8AttentionArguments& a) {
  const auto strided = [](const void* data, const Int8AttentionStrides& strides) {
    return Strided{static_cast<const __nv_bfloat16*>(data), strides};
  };
  const int64_t heads = a.batch * a.heads, tiles_per_head = divide_up(a.queries, kTileQueries);
  const int64_t padded_queries = tiles_per_head * kTileQueries, steps = divide_up(a.keys, kKeys);
  const int64_t tiles = heads * tiles_per_head, grid = std::min<int64_t>(a.multiprocessors, tiles * steps);
  const int64_t rounds = tiles / grid, rest = tiles - rounds * grid, slots = rest == 0 ? 0 : rest + grid;
  Workspace space(a.workspace);
  Quantisation n{.q = strided(a.q, a.q_strides),
                 .k = strided(a.k, a.k_strides),
                 .v = strided(a.v, a.v_strides),
                 .heads = int(a.heads),
                 .all_heads = int(heads),
                 .queries = int(a.queries),
                 .keys = int(a.keys),
                 .padded_queries = int(padded_queries),
                 .key_blocks = int(steps),
                 .samples = int(std::min(a.keys, kSampledKeys))};
  n.q8 = space.take<uint8_t>(heads * padded_queries * kWidth);
  n.kv8 = space.take<uint8_t>(heads * steps * 2 * kBlockBytes);
  n.q_scales = space.take<float>(heads * padded_queries);
  n.q_shifts = space.take<float>(heads * padded_queries);
  n.k_scales = space.take<float>(heads * steps);
  n.k_means = space.take<float>(heads * kWidth);
  n.v_means = space.take<float>(heads * kWidth);
  n.v_factors = space.take<float>(heads * kWidth);
  n.arrival_count = int(rest * kGroups);
  n.arrivals = space.take<int>(n.arrival_count);
  Work w{.q8 = n.q8,
         .kv8 = n.kv8,
         .heads = int(a.heads),
         .queries = int(a.queries),
         .keys = int(a.keys),
         .padded_queries = int(padded_queries),
         .query_tiles = int(tiles_per_head),
         .steps = int(steps),
         .rounds = int(rounds),
         .rest_steps = int(rest * steps),
         .q_scales = n.q_scales,
         .q_shifts = n.q_shifts,
         .k_scales = n.k_scales,
         .v_factors = n.v_factors,
         .v_means = n.v_means,
         .out = static_cast<__nv_bfloat16*>(a.out),
         .lse = a.lse};
  w.partial_sums = space.take<float4>(slots * kGroups * 16 * 128);
  w.partial_rows = space.take<float4>(slots * kGroups * 128);
  w.arrivals = n.arrivals;
  return {n, w, int(grid), space.bytes()};
}

}  // namespace flashblock::int8_attention
