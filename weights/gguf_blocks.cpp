#include "weights/gguf_blocks.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <c10/util/Half.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "core/check.h"

namespace flashblock {
namespace {

constexpr int kSmall = 32, kLarge = 256;  // values of a block

float half_at(const uint8_t* bytes) {
  uint16_t bits = 0;
  std::memcpy(&bits, bytes, sizeof bits);
  return c10::Half(bits, c10::Half::from_bits());
}

// 32 values from 16 bytes: the low nibbles first, then the high ones.
int nibble(const uint8_t* bytes, int index) { return index < 16 ? bytes[index] & 15 : bytes[index - 16] >> 4; }

int fifth_bit(const uint8_t* bits, int index) {
  uint32_t all = 0;
  std::memcpy(&all, bits, sizeof all);
  return static_cast<int>(all >> index & 1) << 4;
}

void q4_0(const uint8_t* block, float* values) {
  const float d = half_at(block);
  for (int i = 0; i < kSmall; ++i) values[i] = static_cast<float>(nibble(block + 2, i) - 8) * d;
}

void q4_1(const uint8_t* block, float* values) {
  const float d = half_at(block), m = half_at(block + 2);
  for (int i = 0; i < kSmall; ++i) values[i] = static_cast<float>(nibble(block + 4, i)) * d + m;
}

void q5_0(const uint8_t* block, float* values) {
  const float d = half_at(block);
  for (int i = 0; i < kSmall; ++i)
    values[i] = static_cast<float>((nibble(block + 6, i) | fifth_bit(block + 2, i)) - 16) * d;
}

void q5_1(const uint8_t* block, float* values) {
  const float d = half_at(block), m = half_at(block + 2);
  for (int i = 0; i < kSmall; ++i)
    values[i] = static_cast<float>(nibble(block + 8, i) | fifth_bit(block + 4, i)) * d + m;
}

void q8_0(const uint8_t* block, float* values) {
  const float d = half_at(block);
  for (int i = 0; i < kSmall; ++i) values[i] = static_cast<float>(static_cast<int8_t>(block[2 + i])) * d;
}

// Scale and minimum of group 0..7 of Q4_K and Q5_K, six bits each, in 12 bytes.
std::array<int, 2> group_scale(const uint8_t* s, int group) {
  if (group < 4) return {s[group] & 63, s[group + 4] & 63};
  return {(s[group + 4] & 15) | (s[group - 4] >> 6) << 4, s[group + 4] >> 4 | (s[group] >> 6) << 4};
}

// Groups of 32 values: two share 32 bytes, the even one in the low nibbles. `high` gives a value's fifth bit.
template <typename High>
void grouped_nibbles(const uint8_t* block, const uint8_t* nibbles, float* values, const High& high) {
  const float d = half_at(block), m = half_at(block + 2);
  for (int group = 0; group < 8; ++group) {
    const auto [scale, minimum] = group_scale(block + 4, group);
    const float step = d * static_cast<float>(scale), least = m * static_cast<float>(minimum);
    for (int i = 0; i < 32; ++i) {
      const uint8_t both = nibbles[group / 2 * 32 + i];
      const int q = (group % 2 == 0 ? both & 15 : both >> 4) + high(group, i);
      values[group * 32 + i] = step * static_cast<float>(q) - least;
    }
  }
}

void q4_k(const uint8_t* block, float* values) {
  grouped_nibbles(block, block + 16, values, [](int, int) { return 0; });
}

void q5_k(const uint8_t* block, float* values) {
  grouped_nibbles(block, block + 48, values,
                  [high = block + 16](int group, int i) { return (high[i] >> group & 1) << 4; });
}

void q6_k(const uint8_t* block, float* values) {
  const float d = half_at(block + 208);
  const auto* scales = reinterpret_cast<const int8_t*>(block + 192);
  for (int i = 0; i < kLarge; ++i) {
    const int half = i / 128, quarter = i % 128 / 32, l = i % 32;
    const uint8_t low = block[half * 64 + quarter % 2 * 32 + l], high = block[128 + half * 32 + l];
    const int q = (quarter < 2 ? low & 15 : low >> 4) | (high >> 2 * quarter & 3) << 4;
    const int8_t scale = scales[i / 16];
    values[i] = d * static_cast<float>(scale) * static_cast<float>(q - 32);
  }
}

// Two bits of value i: in halves of 128 values, four planes of 32.
int two_bits(const uint8_t* bytes, int i) { return bytes[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3; }

void q2_k(const uint8_t* block, float* values) {
  const float d = half_at(block + 80), m = half_at(block + 82);
  for (int i = 0; i < kLarge; ++i) {
    const uint8_t both = block[i / 16];
    values[i] = d * static_cast<float>(both & 15) * static_cast<float>(two_bits(block + 16, i)) -
                m * static_cast<float>(both >> 4);
  }
}

// Scale 0..15 of Q3_K: four low bits and two high ones, in 12 bytes, less 32.
int q3_scale(const uint8_t* s, int index) {
  const int low = index < 8 ? s[index] & 15 : s[index - 8] >> 4;
  return (low | (s[8 + index % 4] >> index / 4 * 2 & 3) << 4) - 32;
}

void q3_k(const uint8_t* block, float* values) {
  const float d = half_at(block + 108);
  for (int i = 0; i < kLarge; ++i) {
    const int third = block[i % 32] >> i / 32 & 1;
    const int q = two_bits(block + 32, i) - (third ? 0 : 4);
    values[i] = d * static_cast<float>(q3_scale(block + 96, i / 16)) * static_cast<float>(q);
  }
}

constexpr GgufType kTypes[] = {
    {0, "F32", 1, 4, nullptr},       {1, "F16", 1, 2, nullptr},       {2, "Q4_0", kSmall, 18, q4_0},
    {3, "Q4_1", kSmall, 20, q4_1},   {6, "Q5_0", kSmall, 22, q5_0},   {7, "Q5_1", kSmall, 24, q5_1},
    {8, "Q8_0", kSmall, 34, q8_0},   {10, "Q2_K", kLarge, 84, q2_k},  {11, "Q3_K", kLarge, 110, q3_k},
    {12, "Q4_K", kLarge, 144, q4_k}, {13, "Q5_K", kLarge, 176, q5_k}, {14, "Q6_K", kLarge, 210, q6_k},
    {30, "BF16", 1, 2, nullptr}};

}  // namespace

const GgufType* find_gguf_type(uint32_t number) {
  const auto* found =
      std::find_if(std::begin(kTypes), std::end(kTypes), [&](const GgufType& type) { return type.number == number; });
  return found == std::end(kTypes) ? nullptr : found;
}

at::Tensor unpack_gguf_blocks(const at::Tensor& data, const GgufType& type) {
  FB_CHECK(type.unpack && data.scalar_type() == at::kByte && data.is_contiguous() && data.numel() % type.bytes == 0);
  const int64_t blocks = data.numel() / type.bytes;
  at::Tensor values = at::empty({blocks * type.values}, at::kFloat);
  const auto* bytes = static_cast<const uint8_t*>(data.const_data_ptr());
  float* target = values.mutable_data_ptr<float>();
  constexpr int64_t kBlocksPerTask = 1024;
  at::parallel_for(0, blocks, kBlocksPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block)
      type.unpack(bytes + block * type.bytes, target + block * type.values);
  });
  return values;
}

}  // namespace flashblock
