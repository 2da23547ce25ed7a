// How the tiles of an attention are divided among thread blocks, for Hopper. A tile is some queries of a head; a step
// of it is a block of keys. Each thread block takes whole tiles in turn as long as there is one for each thread block;
// the steps of the tiles that are left are divided evenly, and what thread blocks compute of a tile is merged by the
// one that ends last.
#pragma once

#include <vector_types.h>

#include <algorithm>
#include <cstdint>

namespace flashblock::hopper_tiles {

constexpr int kUnitQueries = 64;  ///< of a warpgroup
constexpr int kWidth = 128;       ///< of a head

/// What thread blocks know of it.
struct Tiles {
  int per_head, steps;     ///< tiles of a head; steps of a tile
  int rounds, rest_steps;  ///< whole tiles of each thread block; steps of all tiles that are left
  float4* partial_sums;    ///< [slots, warpgroups, 16, 128]
  float4* partial_rows;    ///< [slots, warpgroups, 128]
  int* arrivals;           ///< [tiles left, warpgroups], zeros before the kernel
};

constexpr int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// The parts of a workspace, one after the other; of null, to count its bytes.
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

/// `tiles` with the memory that they need, for `heads` heads (of all batches) on a grid of `grid` thread blocks.
struct DividedTiles {
  Tiles tiles;
  int grid;
  int arrivals;  ///< their number
};

/// Requires: heads * tiles_per_head and multiprocessors * steps below 2^31.
inline DividedTiles divide(int64_t heads, int64_t tiles_per_head, int64_t steps, int groups, int multiprocessors,
                           Workspace& space) {
  const int64_t tiles = heads * tiles_per_head, grid = std::min<int64_t>(multiprocessors, tiles * steps);
  const int64_t rounds = tiles / grid, rest = tiles - rounds * grid, slots = rest == 0 ? 0 : rest + grid;
  Tiles result{.per_head = int(tiles_per_head),
               .steps = int(steps),
               .rounds = int(rounds),
               .rest_steps = int(rest * steps),
               .partial_sums = space.take<float4>(slots * groups * 16 * 128),
               .partial_rows = space.take<float4>(slots * groups * 128),
               .arrivals = space.take<int>(rest * groups)};
  return {result, int(grid), int(rest * groups)};
}

}  // namespace flashblock::hopper_tiles
