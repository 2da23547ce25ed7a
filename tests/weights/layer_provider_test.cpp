// Which layers are read when, and what is held meanwhile.
#include "weights/layer_provider.h"

#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

#include "tests/support/cuda.h"

namespace flashblock {
namespace {

struct TwoTensors {
  at::Tensor first, last;
};

std::vector<at::Tensor*> tensors_of(TwoTensors& layer) { return {&layer.first, &layer.last}; }

using Provider = LayerProvider<TwoTensors>;

TwoTensors numbered(int64_t layer) {
  TwoTensors weights;
  for (at::Tensor* tensor : tensors_of(weights)) *tensor = at::full({2}, static_cast<double>(layer), at::kFloat);
  return weights;
}

double number(const TwoTensors& weights) { return weights.last.cpu()[1].item<double>(); }

TEST(LayerProvider, ReadsEachLayerOncePerWalkAndOneAhead) {
  for (const int64_t layers : {1, 2, 3, 4}) {
    std::vector<int64_t> reads;
    Provider provider(
        layers,
        [&](int64_t layer) {
          reads.push_back(layer);
          return numbered(layer);
        },
        at::kCPU);
    EXPECT_TRUE(reads.empty());
    for (int walk = 0; walk < 3; ++walk) {
      Provider::Walk layer = provider.walk();
      for (int64_t i = 0; i < layers; ++i) {
        EXPECT_EQ(number(layer.layer(i)), i);
        EXPECT_EQ(number(layer.layer(i)), i) << "the second call";
      }
    }
    // Two layers fit, so a model of two is read once; of a longer one the first layer is read ahead for the next walk.
    EXPECT_EQ(static_cast<int64_t>(reads.size()), layers <= 2 ? layers : 3 * layers + 1) << layers;
  }
}

TEST(LayerProvider, ProvidesAnyLayerInAnyOrder) {
  Provider provider(4, numbered, at::kCPU);
  Provider::Walk layer = provider.walk();
  for (const int64_t i : {2, 0, 3, 3, 1, 2}) EXPECT_EQ(number(layer.layer(i)), i);
}

TEST(LayerProvider, AFailedReadIsNotTakenForALayer) {
  int faults = 1;
  Provider provider(
      3,
      [&](int64_t layer) {
        if (layer == 1 && faults-- > 0) throw std::runtime_error("the file is gone");
        return numbered(layer);
      },
      at::kCPU);
  EXPECT_THROW(provider.walk().layer(0), std::runtime_error);
  Provider::Walk layer = provider.walk();
  for (int64_t i = 0; i < 3; ++i) EXPECT_EQ(number(layer.layer(i)), i);
}

TEST(LayerProviderCuda, ReadsEachLayerOnceAndCopiesIt) {
  FLASHBLOCK_NEED_CUDA();
  int64_t reads = 0;
  Provider provider(
      5, [&](int64_t layer) { return ++reads, numbered(layer); }, testing::kGpu);
  for (int walk = 0; walk < 20; ++walk) {
    Provider::Walk layer = provider.walk();
    for (int64_t i = 0; i < 5; ++i) EXPECT_EQ(number(layer.layer(i)), i);
  }
  EXPECT_EQ(reads, 5);
}

}  // namespace
}  // namespace flashblock
