// The one list of a model's tensors: names, shapes and where they go.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "weights/weight_store.h"

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

  /// Wants the tensor `name` as rows of `whole`, which has `rows` rows in all, from `first_row` on. Parts of one whole
  /// are added one after another, the first one first.
  void add_part(std::string name, std::vector<int64_t> shape, at::Tensor& whole, int64_t first_row, int64_t rows);

  /// Tensors of the store that nobody wants are faults, except those whose names begin with an ignored prefix. Throws:
  /// one WeightsError that lists every missing, mis-shaped, non-numeric and unexpected tensor (the first 20).
  void check(const WeightStore& store, const std::vector<std::string>& ignored_prefixes = {}) const;

  /// Fills every target with a contiguous tensor on `device`. On the CPU a tensor that already has the right dtype
  /// stays a read-only view into the mapped file: nothing is copied. What was copied is no longer held in memory for
  /// the file's sake (MappedFile::release). Requires: a store that check accepts.
  void fill(const WeightStore& store, at::Device device, at::ScalarType dtype) const;

  /// check, then fill: no target is touched if anything is wrong.
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
    int64_t first_row = 0;
    int64_t rows_of_whole = 0;  // 0: the tensor is the target, not a part of it
  };

  std::vector<std::string> faults(const WeightStore& store, const std::vector<std::string>& ignored_prefixes) const;

  std::vector<Row> rows_;
};

}  // namespace flashblock
