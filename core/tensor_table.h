// The one list of a model's tensors: names, shapes and where they go.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/weight_store.h"

namespace flashblock {

/// The first 20 of `faults`, separated by semicolons, and how many more there are.
std::string join_faults(const std::vector<std::string>& faults);

/// Collects what a model wants from its checkpoint, then loads it all at once, so that everything that is missing,
/// mis-shaped or left over is reported together.
class TensorTable {
 public:
  /// Wants the tensor `name` of `shape` in `target`, converted to the dtype of `load`, or to `keep` if given.
  /// The target must outlive the table. A name may be wanted once.
  void add(std::string name, std::vector<int64_t> shape, at::Tensor& target, std::optional<at::ScalarType> keep = {});

  /// Fills every target with a contiguous tensor on `device`. On the CPU a tensor that already has the right dtype
  /// stays a read-only view into the mapped file: nothing is copied. Tensors of the store that nobody wants are faults,
  /// except those whose names begin with an ignored prefix. Throws: one WeightsError that lists every missing,
  /// mis-shaped, non-numeric and unexpected tensor (the first 20); no target is touched then.
  void load(const WeightStore& store, at::Device device, at::ScalarType dtype,
            const std::vector<std::string>& ignored_prefixes = {}) const;

  /// Number of tensors wanted.
  size_t size() const { return rows_.size(); }
  /// Names and shapes wanted, in the order of `add`.
  std::vector<std::pair<std::string, std::vector<int64_t>>> wanted() const;

 private:
  struct Row {
    std::string name;
    std::vector<int64_t> shape;
    at::Tensor* target;
    std::optional<at::ScalarType> keep;
  };

  std::vector<std::string> faults(const WeightStore& store, const std::vector<std::string>& ignored_prefixes) const;

  std::vector<Row> rows_;
};

}  // namespace flashblock
