#include "models/kernels/layer_kernels.h"

// The loops below are plain C++ that the compiler vectorises, once for each level of x86-64 and picked at start-up. The
// sanitizers run before the pick can, so they get the portable version.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define FLASHBLOCK_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FLASHBLOCK_CLONES
#endif
#define FLASHBLOCK_INLINE static inline __attribute__((always_inline))

namespace flashblock {
namespace {

using Bfloat16 = uint16_t;

FLASHBLOCK_INLINE float from_bits(uint32_t bits) { return __builtin_bit_cast(float, bits); }
FLASHBLOCK_INLINE float widened(float x) { return x; }
FLASHBLOCK_INLINE float widened(Bfloat16 x) { return from_bits(uint32_t(x) << 16); }
FLASHBLOCK_INLINE void narrow(float x, float& to) { to = x; }
// To nearest, ties to even; the quiet NaN stays one.
FLASHBLOCK_INLINE void narrow(float x, Bfloat16& to) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, x);
  to = Bfloat16((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
template <typename T>
FLASHBLOCK_INLINE float rounded(float x) {
  T narrowed;
  narrow(x, narrowed);
  return widened(narrowed);
}

// exp within 2 units in the last place, between exp(-87) and exp(88). Source: S. Moshier, Cephes, expf.
FLASHBLOCK_INLINE float exponential(float x) {
  x = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
  const float shifter = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const float n = (x * 1.44269504088896341f + shifter) - shifter;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  return p * from_bits(uint32_t(int32_t(n) + 127) << 23);
}

template <typename T>
FLASHBLOCK_INLINE void norm_rope_row(const NormRopeArguments& a, int64_t row) {
  const int64_t token = row % a.tokens, batch = row / a.tokens;
  const T* x = static_cast<const T*>(a.x) + row * a.x_row_stride;
  const T* weight = static_cast<const T*>(a.weight);
  T* out = static_cast<T*>(a.out) + batch * a.out_batch_stride + token * a.out_token_stride;
  alignas(64) float v[kLongestRow];
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (int64_t i = 0; i < a.width; ++i) {
    v[i] = widened(x[i]);
    squares += v[i] * v[i];
  }
  const float inverse = 1.0f / __builtin_sqrtf(squares / float(a.width) + a.eps);
#pragma omp simd
  for (int64_t i = 0; i < a.width; ++i) v[i] = rounded<T>(rounded<T>(v[i] * inverse) * widened(weight[i]));
  if (a.cosine) {
    const int64_t pairs = a.head_dim / 2;
    const float *cosine = a.cosine + token * pairs, *sine = a.sine + token * pairs;
    for (int64_t head = 0; head < a.width; head += a.head_dim) {
      float* h = v + head;
#pragma omp simd
      for (int64_t i = 0; i < pairs; ++i) {
        const float re = h[2 * i], im = h[2 * i + 1];
        h[2 * i] = re * cosine[i] - im * sine[i];
        h[2 * i + 1] = re * sine[i] + im * cosine[i];
      }
    }
  }
#pragma omp simd
  for (int64_t i = 0; i < a.width; ++i) narrow(v[i], out[i]);
}

template <typename T>
FLASHBLOCK_INLINE void modulated_norm_row(const RowNormArguments& a, int64_t row) {
  const T* x = static_cast<const T*>(a.x) + row * a.width;
  const T *shift = static_cast<const T*>(a.shift), *scale = static_cast<const T*>(a.scale);
  T* out = static_cast<T*>(a.out) + row * a.width;
  alignas(64) float v[kLongestRow];
  float sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < a.width; ++i) {
    v[i] = widened(x[i]);
    sum += v[i];
  }
  const float mean = sum / float(a.width);
#pragma omp simd reduction(+ : squares)
  for (int64_t i = 0; i < a.width; ++i) squares += (v[i] - mean) * (v[i] - mean);
  const float inverse = 1.0f / __builtin_sqrtf(squares / float(a.width) + a.eps);
#pragma omp simd
  for (int64_t i = 0; i < a.width; ++i) {
    const float scaled = rounded<T>(rounded<T>((v[i] - mean) * inverse) * widened(scale[i]));
    narrow(scaled + widened(shift[i]), out[i]);
  }
}

template <typename T>
FLASHBLOCK_INLINE void gated_sum_row(const GatedSumArguments& a, int64_t row) {
  T* x = static_cast<T*>(a.x) + row * a.width;
  const T* update = static_cast<const T*>(a.update) + row * a.width;
  const T* gate = static_cast<const T*>(a.gate);
#pragma omp simd
  for (int64_t i = 0; i < a.width; ++i) narrow(widened(x[i]) + rounded<T>(widened(update[i]) * widened(gate[i])), x[i]);
}

// 0.5 x (1 + tanh(u)) = x / (1 + exp(-2u)), u = sqrt(2/pi) (x + 0.044715 x^3).
template <typename T>
FLASHBLOCK_INLINE void gelu_range(T* x, int64_t begin, int64_t end) {
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    const float v = widened(x[i]);
    const float u = 0.7978845608028654f * (v + 0.044715f * v * v * v);
    narrow(v / (1.0f + exponential(-2.0f * u)), x[i]);
  }
}

}  // namespace

FLASHBLOCK_CLONES void norm_rope_rows(const NormRopeArguments& a, int64_t begin, int64_t end) {
  if (a.element == Element::kFloat32)
    for (int64_t row = begin; row < end; ++row) norm_rope_row<float>(a, row);
  else
    for (int64_t row = begin; row < end; ++row) norm_rope_row<Bfloat16>(a, row);
}

FLASHBLOCK_CLONES void modulated_norm_rows(const RowNormArguments& a, int64_t begin, int64_t end) {
  if (a.element == Element::kFloat32)
    for (int64_t row = begin; row < end; ++row) modulated_norm_row<float>(a, row);
  else
    for (int64_t row = begin; row < end; ++row) modulated_norm_row<Bfloat16>(a, row);
}

FLASHBLOCK_CLONES void gated_sum_rows(const GatedSumArguments& a, int64_t begin, int64_t end) {
  if (a.element == Element::kFloat32)
    for (int64_t row = begin; row < end; ++row) gated_sum_row<float>(a, row);
  else
    for (int64_t row = begin; row < end; ++row) gated_sum_row<Bfloat16>(a, row);
}

FLASHBLOCK_CLONES void gelu_elements(const GeluArguments& a, int64_t begin, int64_t end) {
  if (a.element == Element::kFloat32)
    gelu_range(static_cast<float*>(a.x), begin, end);
  else
    gelu_range(static_cast<Bfloat16*>(a.x), begin, end);
}

}  // namespace flashblock
