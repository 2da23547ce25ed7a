#include "pipeline/noise_source.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <c10/util/ParallelGuard.h>

#include <array>
#include <cmath>
#include <numbers>

#include "core/check.h"

namespace flashblock {
namespace {

using Words = std::array<uint32_t, 4>;

/// Philox4x32 with 10 rounds. Source: Salmon et al. 2011, section 3.3; constants of their `philox.h`.
Words philox(Words counter, uint64_t seed) {
  constexpr uint64_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
  constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
  auto key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = kMultiplier0 * counter[0], product1 = kMultiplier1 * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key0, static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key1, static_cast<uint32_t>(product0)};
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  return counter;
}

/// Two random words to two independent standard normals. Source: Box and Muller 1958.
std::array<float, 2> normal_pair(uint32_t radius_word, uint32_t angle_word) {
  // 24 bits each, so that every value is exact in float32; the radius' is above 0, where the logarithm is finite.
  const float radius_uniform = static_cast<float>((radius_word >> 8) + 1) * 0x1p-24F;
  const float angle = static_cast<float>(angle_word >> 8) * 0x1p-24F * 2 * std::numbers::pi_v<float>;
  const float radius = std::sqrt(-2 * std::log(radius_uniform));
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

}  // namespace

at::Tensor SeededNoise::noise(int64_t frame_block, int64_t draw, at::IntArrayRef shape) const {
  FB_CHECK(frame_block >= 0 && draw >= 0);
  at::Tensor result = at::empty(shape, at::kFloat);
  float* const out = result.data_ptr<float>();
  const int64_t count = result.numel();
  at::parallel_for(0, (count + 3) / 4, /*grain_size=*/4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Words words = philox({static_cast<uint32_t>(i), static_cast<uint32_t>(i >> 32), static_cast<uint32_t>(draw),
                                  static_cast<uint32_t>(frame_block)},
                                 seed_);
      const auto first = normal_pair(words[0], words[1]);
      const auto second = normal_pair(words[2], words[3]);
      const std::array<float, 4> normals = {first[0], first[1], second[0], second[1]};
      for (int64_t j = 0; j < 4 && 4 * i + j < count; ++j) out[4 * i + j] = normals[j];
    }
  });
  return result;
}

at::Tensor NoiseAhead::noise(int64_t frame_block, int64_t draw, at::IntArrayRef shape) const {
  if (draw > 0) return later_.at(static_cast<size_t>(draw) - 1).get();
  later_.clear();
  for (int64_t later = 1; later < draws_; ++later) {
    later_.push_back(std::async(std::launch::async, [this, frame_block, later, sizes = shape.vec()] {
      const c10::ParallelGuard alone(true);  // no threads of its own
      return source_.noise(frame_block, later, sizes);
    }));
  }
  return source_.noise(frame_block, draw, shape);
}

}  // namespace flashblock
