#include "weights/tensor_table.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/ones.h>
#include <gmock/gmock.h>

#include <cmath>

#include "core/error.h"
#include "tests/support/error_text.h"
#include "tests/support/formula_checkpoint.h"
#include "tests/support/tensor_matchers.h"
#include "weights/finite_values.h"

namespace flashblock::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(TensorTable, FillsAndConvertsItsTargets) {
  const auto store = formula_store({{"a.weight", {3, 2}}, {"a.norm.weight", {3}}, {"encoder.x", {1}}});
  at::Tensor weight, norm;
  TensorTable table;
  table.add("a.weight", {3, 2}, weight);
  table.add("a.norm.weight", {3}, norm, at::kFloat);
  table.load(*store, at::kCPU, at::kBFloat16, {"encoder."});
  EXPECT_TENSORS_IDENTICAL(weight, store->tensor("a.weight").to(at::kBFloat16));
  EXPECT_TENSORS_IDENTICAL(norm, store->tensor("a.norm.weight"));
  EXPECT_EQ(norm.const_data_ptr(), store->tensor("a.norm.weight").const_data_ptr());
  EXPECT_EQ(table.size(), 2u);
}

TEST(TensorTable, JoinsPartsToOneTensor) {
  const auto store = formula_store({{"q", {3, 2}}, {"k", {2, 2}}, {"q.bias", {3}}, {"k.bias", {2}}});
  at::Tensor weight, bias;
  TensorTable table;
  table.add_part("q", {3, 2}, weight, 0, 5);
  table.add_part("k", {2, 2}, weight, 3, 5);
  table.add_part("q.bias", {3}, bias, 0, 5);
  table.add_part("k.bias", {2}, bias, 3, 5);
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    table.load(*store, at::kCPU, dtype);
    EXPECT_TENSORS_IDENTICAL(weight, at::cat({store->tensor("q"), store->tensor("k")}).to(dtype));
    EXPECT_TENSORS_IDENTICAL(bias, at::cat({store->tensor("q.bias"), store->tensor("k.bias")}).to(dtype));
  }
}

TEST(TensorTable, ListsAllFaultsTogetherAndChangesNothing) {
  const auto store = WeightStore::from_tensors(
      {{"a", at::ones({2})}, {"b", at::ones({2, 3})}, {"ids", at::ones({4}, at::kLong)}, {"extra", at::ones({1})}},
      "weights.pt");
  at::Tensor a, b, c, ids;
  TensorTable table;
  table.add("a", {2}, a);
  table.add("b", {3, 2}, b);
  table.add("c", {7}, c);
  table.add("ids", {4}, ids);
  const std::string text = error_text<WeightsError>([&] { table.load(*store, at::kCPU, at::kFloat); });
  EXPECT_THAT(text, AllOf(HasSubstr("weights.pt: 4 tensors do not fit"), HasSubstr("missing 'c' [7]"),
                          HasSubstr("'b' has the shape [2, 3], wanted [3, 2]"), HasSubstr("'ids' has the dtype Long"),
                          HasSubstr("unexpected 'extra' [1]")));
  EXPECT_FALSE(a.defined());
}

TEST(TensorTable, RefusesValuesThatAreNotFinite) {
  for (const auto dtype : {at::kFloat, at::kBFloat16, at::kHalf, at::kDouble, at::kFloat8_e4m3fn}) {
    for (const double value : {std::nan(""), HUGE_VAL, -HUGE_VAL, 448.0}) {
      at::Tensor b = at::ones({3, 100'003});
      b[2][100'002] = value;
      b = b.to(dtype);
      EXPECT_EQ(all_finite(b), at::isfinite(b.to(at::kFloat)).all().item<bool>()) << dtype << " " << value;
      EXPECT_EQ(all_finite(b.t()), all_finite(b)) << "not contiguous";
      EXPECT_TRUE(all_finite(b.narrow(1, 0, 100'002))) << dtype << ": beside it";
      const auto store = WeightStore::from_tensors({{"a", at::ones({2})}, {"b", b}}, "weights.pt");
      at::Tensor first, second;
      TensorTable table;
      table.add("a", {2}, first);
      table.add("b", {3, 100'003}, second);
      if (all_finite(b)) {
        EXPECT_NO_THROW(table.load(*store, at::kCPU, at::kFloat));
      } else {
        EXPECT_THAT(error_text<WeightsError>([&] { table.load(*store, at::kCPU, at::kFloat); }),
                    HasSubstr("weights.pt: 'b' has numbers that are not finite"));
      }
    }
  }
  EXPECT_TRUE(all_finite(at::ones({3}, at::kLong)));
  EXPECT_TRUE(all_finite(at::ones({0})));
}

TEST(TensorTable, ShortensLongLists) {
  const auto store = WeightStore::from_tensors({{"a", at::ones({1})}});
  std::vector<at::Tensor> targets(100);
  TensorTable table;
  for (size_t i = 0; i < targets.size(); ++i) table.add("t" + std::to_string(i), {1}, targets[i]);
  EXPECT_THAT(error_text<WeightsError>([&] { table.load(*store, at::kCPU, at::kFloat); }),
              AllOf(HasSubstr("101 tensors"), HasSubstr("and 81 more")));
}

TEST(TensorTable, RefusesADuplicateName) {
  const auto store = WeightStore::from_tensors({{"a", at::ones({1})}});
  at::Tensor first, second;
  TensorTable table;
  table.add("a", {1}, first);
  table.add("a", {1}, second);
  EXPECT_THROW(table.load(*store, at::kCPU, at::kFloat), std::logic_error);
}

}  // namespace
}  // namespace flashblock::testing
