// What must hold of attention states whatever they are over: any number of key ranges, empty ones and single keys among
// them, merged in any order, at any size of the scores. The yardstick is one softmax over all keys in float64.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <ostream>
#include <random>
#include <utility>
#include <vector>

#include "attention/attention.h"
#include "attention/attention_state.h"
#include "tests/support/cuda.h"
#include "tests/support/formula_weights.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using testing::formula_data;

struct Kind {
  at::ScalarType dtype;
  int64_t width;
  double score;  // largest score, of either sign; exp overflows float32 beyond 88
};

std::ostream& operator<<(std::ostream& out, const Kind& kind) {
  return out << kind.dtype << ", width " << kind.width << ", scores up to " << kind.score;
}

std::vector<Kind> kinds() {
  std::vector<Kind> all;
  for (const auto dtype : {at::kFloat, at::kBFloat16})
    for (const int64_t width : {64, 128})
      for (const double score : {3.0, 100.0, 1e4}) all.push_back({dtype, width, score});
  return all;
}

constexpr int64_t kQueries = 37, kKeys = 151, kHeads = 3;

/// States over parts of the same keys.
class KeyRanges {
 public:
  KeyRanges(const Kind& kind, at::Device device) : dtype_(kind.dtype) {
    const auto options = at::TensorOptions(device).dtype(kind.dtype);
    // A query against itself scores sqrt(width) bound^2 / 3, on average.
    const double bound = std::sqrt(3 * kind.score / std::sqrt(double(kind.width)));
    const auto data = [&](const char* name, int64_t tokens, double size) {
      return formula_data(name, {1, tokens, kHeads, kind.width}, size).to(options);
    };
    q_ = data("q", kQueries, bound);
    k_ = data("k", kKeys, bound);
    v_ = data("v", kKeys, 1.7);
    k_.select(1, 11).copy_(q_.select(1, 5));
    k_.select(1, 97).copy_(-q_.select(1, 5));
    exact_ = attention_by_matrix_products(q_.to(at::kDouble), k_.to(at::kDouble), v_.to(at::kDouble));
  }

  /// Over the keys from `begin` to `end`; over none if they are the same.
  AttentionState state(int64_t begin, int64_t end) const {
    if (begin == end) return {};
    return attention_with_lse(q_, k_.slice(1, begin, end), v_.slice(1, begin, end));
  }

  /// That `state` is over all keys. Scores are float32 sums, on GPUs also scaled by log2(e) in float32: one of 10^4 is
  /// known to 1e-2, and so is a weight.
  void expect_all(const AttentionState& state) const {
    ASSERT_FALSE(state.empty());
    EXPECT_EQ(state.output.scalar_type(), dtype_);
    EXPECT_EQ(state.lse.scalar_type(), at::kFloat);
    const double largest = exact_.lse.abs().max().item<double>();
    EXPECT_TENSORS_NEAR_IN_NORM(state.output, exact_.output, (dtype_ == at::kFloat ? 2e-6 : 8e-3) + 1e-7 * largest);
    EXPECT_TENSORS_CLOSE(state.lse, exact_.lse, 0, 1e-4 + (q_.is_cuda() ? 1e-6 : 5e-7) * largest);
  }

 private:
  at::ScalarType dtype_;
  at::Tensor q_, k_, v_;
  AttentionState exact_;
};

/// Cuts that part the keys into `count` ranges, some empty and some of one key.
std::vector<int64_t> cuts(size_t count, std::mt19937& random) {
  std::vector<int64_t> cuts = {0, kKeys};
  while (cuts.size() < count + 1) {
    const int64_t near = cuts[random() % cuts.size()] + int64_t(random() % 2);  // empty, or of one key
    const int64_t anywhere = int64_t(random() % (kKeys + 1));
    cuts.push_back(std::min(random() % 3 == 0 ? near : anywhere, kKeys));
  }
  std::sort(cuts.begin(), cuts.end());
  return cuts;
}

/// Merges any two of the states until one is left.
AttentionState merged_in_any_order(std::vector<AttentionState> states, std::mt19937& random) {
  while (states.size() > 1) {
    std::shuffle(states.begin(), states.end(), random);
    AttentionState one = std::move(states.back());
    states.pop_back();
    states.back() = merge(one, std::move(states.back()));
  }
  return states.front();
}

void expect_any_ranges_in_any_order_give_all(at::Device device) {
  std::mt19937 random(7);
  for (const Kind& kind : kinds()) {
    const KeyRanges ranges(kind, device);
    for (size_t count = 1; count <= 9; ++count) {
      const std::vector<int64_t> at = cuts(count, random);
      SCOPED_TRACE(::testing::Message() << kind << ", ranges from " << ::testing::PrintToString(at));
      std::vector<AttentionState> states;
      for (size_t i = 0; i < count; ++i) states.push_back(ranges.state(at[i], at[i + 1]));
      ranges.expect_all(merged_in_any_order(std::move(states), random));
    }
  }
}

/// A state for each single key.
void expect_single_keys_give_all(at::Device device) {
  for (const Kind& kind : kinds()) {
    if (kind.dtype == at::kBFloat16) continue;  // 150 roundings of the output
    SCOPED_TRACE(::testing::Message() << kind);
    const KeyRanges ranges(kind, device);
    AttentionState all;
    for (int64_t key = 0; key < kKeys; ++key) all = merge(ranges.state(key, key + 1), std::move(all));
    ranges.expect_all(all);
  }
}

void expect_merge_is_associative(at::Device device) {
  for (const Kind& kind : kinds()) {
    SCOPED_TRACE(::testing::Message() << kind);
    const KeyRanges ranges(kind, device);
    const auto a = [&] { return ranges.state(0, 1); };
    const auto b = [&] { return ranges.state(1, 64); };
    const auto c = [&] { return ranges.state(64, kKeys); };
    const AttentionState left = merge(merge(a(), b()), c()), right = merge(a(), merge(b(), c()));
    EXPECT_TENSORS_NEAR_IN_NORM(left.output, right.output, kind.dtype == at::kFloat ? 1e-6 : 6e-3);
    EXPECT_TENSORS_CLOSE(left.lse, right.lse, 1e-6, 1e-6);
  }
}

/// A score of one dominates all others by 10^4: the result is its value, and no other has weight.
void expect_a_far_larger_score_takes_all(at::Device device) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    for (const int64_t width : {64, 128}) {
      const auto options = at::TensorOptions(device).dtype(dtype);
      const double entry = width == 64 ? 35 : 29;  // sqrt(width) entry^2: 9800 and 9514, exact in bfloat16
      const at::Tensor q = at::full({1, 3, 1, width}, entry, options);
      const at::Tensor v = formula_data("v", {1, 3, 1, width}, 1).to(options);
      const auto state = [&](int64_t key, double sign) {
        return attention_with_lse(q, at::full({1, 1, 1, width}, sign * entry, options), v.narrow(1, key, 1));
      };
      const at::Tensor value = v.narrow(1, 1, 1).expand({1, 3, 1, width});
      const double score = std::sqrt(double(width)) * entry * entry;
      for (const AttentionState& all : {merge(state(0, -1), merge(state(1, 1), state(2, -1))),
                                        merge(merge(state(0, -1), state(1, 1)), state(2, -1)),
                                        merge(state(1, 1), merge(state(0, -1), state(2, -1)))}) {
        EXPECT_TENSORS_CLOSE(all.output, value, 5e-7, 0) << dtype << ", width " << width;
        EXPECT_TENSORS_CLOSE(all.lse, at::full({1, 1, 3}, score), 1e-6, 0) << dtype << ", width " << width;
      }
      EXPECT_TENSORS_CLOSE(
          merge(state(0, -1), state(2, -1)).output,
          (v.narrow(1, 0, 1).to(at::kFloat) + v.narrow(1, 2, 1).to(at::kFloat)).expand({1, 3, 1, width}) / 2, 8e-3,
          1e-2)
          << "both at -10^4 weigh the same";
    }
  }
}

TEST(MergeProperties, AnyRangesInAnyOrderGiveAll) { expect_any_ranges_in_any_order_give_all(at::kCPU); }
TEST(MergePropertiesCuda, AnyRangesInAnyOrderGiveAll) {
  FLASHBLOCK_NEED_CUDA();
  expect_any_ranges_in_any_order_give_all(testing::kGpu);
}
TEST(MergeProperties, SingleKeysGiveAll) { expect_single_keys_give_all(at::kCPU); }
TEST(MergePropertiesCuda, SingleKeysGiveAll) {
  FLASHBLOCK_NEED_CUDA();
  expect_single_keys_give_all(testing::kGpu);
}
TEST(MergeProperties, MergeIsAssociative) { expect_merge_is_associative(at::kCPU); }
TEST(MergePropertiesCuda, MergeIsAssociative) {
  FLASHBLOCK_NEED_CUDA();
  expect_merge_is_associative(testing::kGpu);
}
TEST(MergeProperties, AFarLargerScoreTakesAll) { expect_a_far_larger_score_takes_all(at::kCPU); }
TEST(MergePropertiesCuda, AFarLargerScoreTakesAll) {
  FLASHBLOCK_NEED_CUDA();
  expect_a_far_larger_score_takes_all(testing::kGpu);
}

}  // namespace
}  // namespace flashblock
