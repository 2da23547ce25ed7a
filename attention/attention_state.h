// The result of attention to a set of keys, in a form that can be merged with the result for other keys.
#pragma once

#include <ATen/core/Tensor.h>

namespace flashblock {

/// Attention output over a set of keys, and the log-sum-exp of the scores. Default-constructed: the state over no keys.
struct AttentionState {
  at::Tensor output;  ///< [B, L, N, D], dtype of the values
  at::Tensor lse;     ///< [B, N, L] fp32, natural log of the sum of exp(scaled scores)

  bool empty() const { return !output.defined(); }
};

/// The state over the union of two disjoint key sets. Exact; the state over no keys is the identity, and so is a row
/// whose lse is minus infinity. May reuse the memory of `internal`, which must not be used afterwards; does not change
/// `external`.
///
/// Numerics: fp32 arithmetic for every dtype of the outputs, one rounding at the end.
/// Source: arXiv 2602.05305, section 3; the weight exp(L_e - m) / (exp(L_e - m) + exp(L_i - m)) is written as
/// sigmoid(L_e - L_i), which cannot overflow.
AttentionState merge(const AttentionState& external, AttentionState internal);

/// The same by LibTorch's operators, for two states that are not empty; changes neither. The fallback of `merge`, and
/// the reference implementation that its kernel is tested against.
AttentionState merge_by_operators(const AttentionState& external, const AttentionState& internal);

}  // namespace flashblock
