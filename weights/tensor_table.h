// The list of a model's tensors: names, shapes and where they are loaded to.
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

/// `read`: the tensor `name` of the store, or some of its rows. Throws: WeightsError if it has NaN or infinite values.
void check_finite(const WeightStore& store, const std::string& name, const at::Tensor& read);

/// Declares the tensors that a model needs from its checkpoint, then loads all of them, so that one error reports
/// everything that is missing, mis-shaped or unexpected.
class TensorTable {
 public:
  /// Declares the tensor `name` of `shape`, loaded into `target` in the dtype of `load`, or in `keep` if given.
  /// The target must outlive the table. Requires: each name is declared once.
  void add(std::string name, std::vector<int64_t> shape, at::Tensor& target, std::optional<at::ScalarType> keep = {});

  /// Declares the tensor `name`, loaded into the rows of `whole` from `first_row` on; `whole` has `rows` rows. The
  /// parts of one whole are added in order.
  void add_part(std::string name, std::vector<int64_t> shape, at::Tensor& whole, int64_t first_row, int64_t rows);

  /// Throws: one WeightsError that lists every missing, mis-shaped, non-float and unexpected tensor (the first 20).
  /// Undeclared tensors of the store are unexpected, except those whose names begin with an ignored prefix.
  void check(const WeightStore& store, const std::vector<std::string>& ignored_prefixes = {}) const;

  /// Fills every target with a contiguous tensor on `device`. On the CPU a tensor that already has the right dtype
  /// stays a read-only view into the mapped file: nothing is copied. Pages of the file whose tensors
  /// were copied are released (MappedFile::release). Requires: a store that check accepts.
  /// Throws: WeightsError for the first tensor with NaN or infinite values.
  void fill(const WeightStore& store, at::Device device, at::ScalarType dtype) const;

  /// check(), then fill(): no target is changed if check() throws.
  void load(const WeightStore& store, at::Device device, at::ScalarType dtype,
            const std::vector<std::string>& ignored_prefixes = {}) const;

  /// Number of tensors declared.
  size_t size() const { return rows_.size(); }

 private:
  struct Row {
    std::string name;
    std::vector<int64_t> shape;
    at::Tensor* target;
    std::optional<at::ScalarType> keep;
    int64_t first_row = 0;
    int64_t rows_of_whole = 0;  // 0: the tensor is the whole target
  };

  std::vector<std::string> faults(const WeightStore& store, const std::vector<std::string>& ignored_prefixes) const;

  std::vector<Row> rows_;
};

}  // namespace flashblock
