// Weights computed by a formula instead of read from a file: every value is a function of (salt, tensor name, element
// index). The parity data in tests/data/parity was computed with these weights; tests/data/README.md states the
// formula.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace flashblock::testing {

/// Salt of the committed parity data.
inline constexpr std::string_view kFormulaSalt = "public/v1";

/// The weight of `name`, the state-dict key as published and without any wrapper prefix.
/// Shape: `shape`, float32. Row-major, so a tensor depends on its element count and, through its scale, on its shape.
at::Tensor formula_tensor(const std::string& name, const std::vector<int64_t>& shape,
                          std::string_view salt = kFormulaSalt);

/// Uniform data in [-bound, bound) computed by the formula from `name`, without a salt.
/// Shape: `shape`, float32.
at::Tensor formula_data(const std::string& name, const std::vector<int64_t>& shape, double bound);

/// FNV-1a, 64 bit, of the bytes of `text`.
uint64_t fnv1a(std::string_view text);

}  // namespace flashblock::testing
