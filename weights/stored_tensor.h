// A tensor as it lies in a file, with the rule that gives its values where they are packed.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace flashblock {

/// `data` holds the values, or, with `unpack`, bits that a rule turns into them: scaled float8, blocks of GGUF.
struct StoredTensor {
  StoredTensor() = default;
  StoredTensor(at::Tensor values)  // NOLINT: most tensors are plain
      : data(std::move(values)), shape(data.sizes().vec()), dtype(data.scalar_type()) {}

  at::Tensor data;                    ///< on the CPU, perhaps a view into a mapped file
  std::vector<int64_t> shape;         ///< of the values
  at::ScalarType dtype = at::kFloat;  ///< of the values
  std::string packing;                ///< such as "Q4_K"; empty: `data` are the values
  /// Computes the values, or, of whole rows along the first axis, those of the rows; null: `data` are the values.
  std::function<at::Tensor(const at::Tensor& data)> unpack;
  /// `data` [rows, ...] holds each row by itself, so that some rows can be unpacked alone.
  bool unpacks_rows = false;

  at::Tensor values() const { return unpack ? unpack(data) : data; }
  /// The values of some rows. Shape: indices [n] int64; result [n, ...].
  at::Tensor rows(const at::Tensor& indices) const {
    if (unpack && !unpacks_rows) return values().index_select(0, indices);
    const at::Tensor selected = data.index_select(0, indices);
    return unpack ? unpack(selected) : selected;
  }
  int64_t numel() const {
    int64_t count = 1;
    for (const int64_t size : shape) count *= size;
    return count;
  }
};

}  // namespace flashblock
