// The heads that a pass refreshes.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>

namespace flashblock {

class ProcessGroup;  // core/process_group.h

/// The heads that this process computes, where several share those of a layer.
struct HeadShare {
  int64_t first = 0;                    ///< number of the first of them in the layer
  const ProcessGroup* group = nullptr;  ///< outlives this; null: they are all heads
};

/// A selection of the N heads of a layer.
struct HeadSelection {
  enum class Kind {
    kNone,
    kAll,
    kListed,  ///< the host knows the heads
    kMasked,  ///< on a GPU only the device knows the heads; the host must not read them
  };
  Kind kind = Kind::kNone;
  at::Tensor heads;  ///< kListed: int64 indices on the CPU, ascending; kMasked: [N] bool on the device of the queries

  static HeadSelection none() { return {}; }
  static HeadSelection all() { return {Kind::kAll, {}}; }
  static HeadSelection listed(at::Tensor indices) { return {Kind::kListed, std::move(indices)}; }
  static HeadSelection masked(at::Tensor mask) { return {Kind::kMasked, std::move(mask)}; }

  /// The selection as [N] bool on the device of q. Shape: q [B, L, N, D].
  at::Tensor mask(const at::Tensor& q) const;
};

}  // namespace flashblock
