// Selection of the external keys of sparse attention.
#include "attention/key_selection.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>

#include "attention/attention.h"
#include "tests/attention/attention_cases.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using namespace testing;

TEST(KeySelection, EveryKeyIsInOnePartOfEachHead) {
  const KeyRange past = past_keys();
  for (const double density : {0.01, 0.3, 0.75, 1.0}) {
    const KeySplit split = split_by_relevance(queries(), past, density);
    const int64_t runs = kKeys / kSelectionRun, chosen = int64_t(std::ceil(density * double(runs)));
    EXPECT_EQ(split.selected.tokens(), chosen * kSelectionRun + kKeys % kSelectionRun) << "the tail is always selected";
    const at::Tensor both = at::cat({split.selected.keys, split.residual.keys}, 1);
    ASSERT_EQ(both.sizes(), past.keys.sizes());
    EXPECT_TENSORS_IDENTICAL(std::get<0>(both.select(-1, 5).sort(1)), std::get<0>(past.keys.select(-1, 5).sort(1)));
    const auto part = [](const KeyRange& keys) {
      return keys.empty() ? AttentionState{} : attention_with_lse(queries(), keys.keys, keys.values);
    };
    const at::Tensor merged = merge(part(split.selected), part(split.residual)).output;
    EXPECT_TENSORS_NEAR_IN_NORM(merged, exact(queries(), past).output, 1e-6);
  }
}

TEST(KeySelection, TheRunWithTheMostWeightIsSelected) {
  KeyRange past = past_keys(0.1);
  for (int64_t head = 0; head < kHeads; ++head)
    past.keys.narrow(1, (head + 1) * kSelectionRun, kSelectionRun).select(2, head).copy_(queries()[0][3][head] * 3);
  const KeySplit split = split_by_relevance(queries(), past, 0.2);
  ASSERT_EQ(split.selected.tokens(), kSelectionRun + kKeys % kSelectionRun);
  for (int64_t head = 0; head < kHeads; ++head)
    EXPECT_TENSORS_IDENTICAL(split.selected.keys.narrow(1, 0, kSelectionRun).select(2, head),
                             past.keys.narrow(1, (head + 1) * kSelectionRun, kSelectionRun).select(2, head));
}

}  // namespace
}  // namespace flashblock
