#include "tests/support/formula_weights.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <cmath>

namespace flashblock::testing {
namespace {

// SplitMix64: the finaliser of the element's counter.
uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

at::Tensor uniform(std::string_view key, const std::vector<int64_t>& shape, double offset, double bound) {
  at::Tensor result = at::empty(shape, at::kFloat);
  float* values = result.mutable_data_ptr<float>();
  const uint64_t hash = fnv1a(key);
  at::parallel_for(0, result.numel(), 1 << 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const uint64_t z = mix(hash + (static_cast<uint64_t>(i) + 1) * 0x9E3779B97F4A7C15u);
      const double u = static_cast<double>(z >> 40) / 16777216.0 * 2.0 - 1.0;
      values[i] = static_cast<float>(offset + bound * u);
    }
  });
  return result;
}

struct Range {
  double offset;
  double bound;
};

// Of SGF+'s second weights the range is that of the first ones, whose names have no `memory_`.
Range range_of(std::string name, const std::vector<int64_t>& shape) {
  if (const size_t found = name.find("memory_"); found != std::string::npos) name.erase(found, 7);
  const std::string last = name.substr(name.rfind('.') + 1);
  const bool rank_one = shape.size() == 1;
  if (last == "gamma" || (last == "weight" && rank_one && name.find("norm") != std::string::npos)) return {1.0, 0.1};
  if (last == "modulation") return {0.0, std::sqrt(3.0 / static_cast<double>(shape.back()))};
  if (shape.size() <= 1) return {0.0, 0.02};
  if (name == "token_embedding.weight" || name.find("pos_embedding") != std::string::npos) return {0.0, 1.0};
  double fan_in = 1.0;
  for (size_t axis = 1; axis < shape.size(); ++axis) fan_in *= static_cast<double>(shape[axis]);
  return {0.0, std::sqrt(3.0 / fan_in)};
}

}  // namespace

uint64_t fnv1a(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char character : text) hash = (hash ^ static_cast<unsigned char>(character)) * 0x100000001b3u;
  return hash;
}

at::Tensor formula_tensor(const std::string& name, const std::vector<int64_t>& shape, std::string_view salt) {
  const Range range = range_of(name, shape);
  return uniform(std::string(salt) + "/" + name, shape, range.offset, range.bound);
}

at::Tensor formula_data(const std::string& name, const std::vector<int64_t>& shape, double bound) {
  return uniform(name, shape, 0.0, bound);
}

}  // namespace flashblock::testing
