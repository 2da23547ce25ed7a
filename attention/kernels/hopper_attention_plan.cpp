#include "attention/kernels/hopper_attention_plan.h"

#include <algorithm>

namespace flashblock::int8_attention {

Plan plan_of(const Int8AttentionArguments& a) {
  const auto strided = [](const void* data, const Int8AttentionStrides& strides) {
    return Strided{static_cast<const __nv_bfloat16*>(data), strides};
  };
  const int64_t heads = a.batch * a.heads, tiles_per_head = hopper_tiles::divide_up(a.queries, kTileQueries);
  const int64_t padded_queries = tiles_per_head * kTileQueries, steps = hopper_tiles::divide_up(a.keys, kKeys);
  hopper_tiles::Workspace space(a.workspace);
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
  const hopper_tiles::DividedTiles divided =
      hopper_tiles::divide(heads, tiles_per_head, steps, kGroups, a.multiprocessors, space);
  n.arrivals = divided.tiles.arrivals;
  n.arrival_count = divided.arrivals;
  const Work w{.q8 = n.q8,
               .kv8 = n.kv8,
               .tiles = divided.tiles,
               .heads = int(a.heads),
               .queries = int(a.queries),
               .keys = int(a.keys),
               .padded_queries = int(padded_queries),
               .q_scales = n.q_scales,
               .q_shifts = n.q_shifts,
               .k_scales = n.k_scales,
               .v_factors = n.v_factors,
               .v_means = n.v_means,
               .out = static_cast<__nv_bfloat16*>(a.out),
               .lse = a.lse};
  return {n, w, divided.grid, space.bytes()};
}

}  // namespace flashblock::int8_attention
