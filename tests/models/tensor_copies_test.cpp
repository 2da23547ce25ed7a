#include "models/tensor_copies.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/support/cuda.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

/// Copies between parts of tensors, as heads and tokens change hands, against copy_ of LibTorch.
void expect_copies(at::Device device, at::ScalarType dtype, int64_t head_dim, int64_t count) {
  const at::TensorOptions options = at::TensorOptions().device(device).dtype(dtype);
  std::vector<at::Tensor> to, expected;
  std::vector<TensorCopy> copies;
  for (int64_t i = 0; i < count; ++i) {
    const at::Tensor from = at::randn({2, 3, 5 + i, 4, head_dim}, options);
    to.push_back(at::full({2, 3, 9 + i, 7, head_dim}, -1.0, options));
    expected.push_back(to.back().clone());
    const auto place = [&](const at::Tensor& x) { return x.narrow(2, 1, 5 + i).narrow(3, i % 4, 3); };
    expected.back().copy_(to.back());
    place(expected.back()).copy_(from.narrow(3, 1, 3));
    copies.push_back({place(to.back()), from.narrow(3, 1, 3)});
  }
  const at::Tensor whole = at::randn({6, 8}, options);
  copies.push_back({at::empty_like(whole), whole});
  copies.push_back({at::empty({0, 4}, options), at::empty({0, 4}, options)});
  copy_tensors(copies);
  for (size_t i = 0; i < to.size(); ++i) EXPECT_TENSORS_IDENTICAL(to[i], expected[i]);
  EXPECT_TENSORS_IDENTICAL(copies[to.size()].to, whole);
}

TEST(TensorCopies, AreThoseOfLibTorch) { expect_copies(at::kCPU, at::kFloat, 4, 3); }

TEST(TensorCopies, CudaAreThoseOfLibTorch) {
  FLASHBLOCK_NEED_CUDA();
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    expect_copies(testing::kGpu, dtype, 128, 3);  // the kernel
    expect_copies(testing::kGpu, dtype, 3, 3);    // rows of no whole vector: LibTorch
    expect_copies(testing::kGpu, dtype, 64, 37);  // more than one launch
  }
}

}  // namespace
}  // namespace flashblock
