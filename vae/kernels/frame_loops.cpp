#include "vae/kernels/frame_loops.h"

#include <cmath>
#include <cstring>

// One clone per instruction set, chosen by the loader. Sanitizers cannot instrument the choice.
#if defined(__x86_64__) && __GNUC__ >= 12 && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define FB_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FB_CLONES
#endif
#define FB_INLINE __attribute__((always_inline)) inline

namespace flashblock::loops {
namespace {

// Sixteen channels at a time; the compiler lowers them to the registers that the clone has.
constexpr int64_t kWidth = 16;
typedef float Floats __attribute__((vector_size(kWidth * sizeof(float))));
typedef uint32_t Words __attribute__((vector_size(kWidth * sizeof(uint32_t))));
typedef uint16_t Halves __attribute__((vector_size(kWidth * sizeof(uint16_t))));

FB_INLINE Floats load(const float* p) {
  Floats v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

FB_INLINE Floats load(const uint16_t* p) {
  Halves h;
  std::memcpy(&h, p, sizeof h);
  return __builtin_bit_cast(Floats, __builtin_convertvector(h, Words) << 16);
}

FB_INLINE void store(float* p, Floats v) { std::memcpy(p, &v, sizeof v); }

FB_INLINE void store(uint16_t* p, Floats v) {  // to nearest, ties to even
  const Words bits = __builtin_bit_cast(Words, v);
  const Halves h = __builtin_convertvector((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16, Halves);
  std::memcpy(p, &h, sizeof h);
}

/// Every lane plus its neighbours at distance 8, 4, 2 and 1: all lanes end up with the sum.
FB_INLINE float sum(Floats v) {
  v += __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
  v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
  v += __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
  return v[0];
}

/// e^x, |x| <= 87, to about 1e-7 relative: 2^n e^r with n = round(x / ln 2) and the Taylor polynomial of e^r, |r| <= ln
/// 2 / 2.
FB_INLINE Floats exponential(Floats x) {
  constexpr float kRound = 12582912.0f;                                // 1.5 * 2^23: adding it rounds to an integer
  constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;  // their sum is ln 2; the first has few bits
  const Floats shifted = x * 1.44269504f + kRound;
  const Floats n = shifted - kRound;
  const Floats r = (x - n * kLn2High) - n * kLn2Low;
  Floats p = r * (1.0f / 5040) + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  return p * __builtin_bit_cast(Floats, (__builtin_bit_cast(Words, shifted) + 127u) << 23);
}

FB_INLINE Floats silu(Floats x) {
  Floats clamped = x < -87.0f ? Floats{} - 87.0f : x;
  clamped = clamped > 87.0f ? Floats{} + 87.0f : clamped;
  return x / (1.0f + exponential(-clamped));
}

/// Rows whose width is a multiple of kWidth.
template <typename Element>
FB_INLINE void norm_rows(const NormArguments& a, int64_t begin, int64_t end) {
  const float scale = std::sqrt(static_cast<float>(a.channels));
  for (int64_t row = begin; row < end; ++row) {
    const Element* in = static_cast<const Element*>(a.in) + row * a.channels;
    Element* out = static_cast<Element*>(a.out) + row * a.channels;
    Floats squares{};
    for (int64_t c = 0; c < a.channels; c += kWidth) {
      Floats x = load(in + c);
      if (a.bias) x += load(a.bias + c);
      squares += x * x;
    }
    const float factor = scale / std::fmax(std::sqrt(sum(squares)), 1e-12f);
    for (int64_t c = 0; c < a.channels; c += kWidth) {
      Floats x = load(in + c);
      if (a.bias) x += load(a.bias + c);
      x *= factor * load(a.gamma + c);
      store(out + c, a.silu ? silu(x) : x);
    }
  }
}

FB_INLINE float widen(float x) { return x; }
FB_INLINE float widen(uint16_t x) { return __builtin_bit_cast(float, static_cast<uint32_t>(x) << 16); }
FB_INLINE void narrow(float* p, float x) { *p = x; }
FB_INLINE void narrow(uint16_t* p, float x) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, x);
  *p = static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/// Rows of any width, one channel at a time.
template <typename Element>
void norm_odd_rows(const NormArguments& a, int64_t begin, int64_t end) {
  const float scale = std::sqrt(static_cast<float>(a.channels));
  for (int64_t row = begin; row < end; ++row) {
    const Element* in = static_cast<const Element*>(a.in) + row * a.channels;
    Element* out = static_cast<Element*>(a.out) + row * a.channels;
    float squares = 0;
    for (int64_t c = 0; c < a.channels; ++c) {
      const float x = widen(in[c]) + (a.bias ? a.bias[c] : 0.0f);
      squares += x * x;
    }
    const float factor = scale / std::fmax(std::sqrt(squares), 1e-12f);
    for (int64_t c = 0; c < a.channels; ++c) {
      const float x = (widen(in[c]) + (a.bias ? a.bias[c] : 0.0f)) * (factor * a.gamma[c]);
      narrow(out + c, a.silu ? x / (1.0f + std::exp(-x)) : x);
    }
  }
}

FB_CLONES void norm_wide_float32(const NormArguments& a, int64_t begin, int64_t end) {
  norm_rows<float>(a, begin, end);
}
FB_CLONES void norm_wide_bfloat16(const NormArguments& a, int64_t begin, int64_t end) {
  norm_rows<uint16_t>(a, begin, end);
}

}  // namespace

void rms_norm_float32(const NormArguments& a, int64_t begin, int64_t end) {
  a.channels % kWidth == 0 ? norm_wide_float32(a, begin, end) : norm_odd_rows<float>(a, begin, end);
}

void rms_norm_bfloat16(const NormArguments& a, int64_t begin, int64_t end) {
  a.channels % kWidth == 0 ? norm_wide_bfloat16(a, begin, end) : norm_odd_rows<uint16_t>(a, begin, end);
}

}  // namespace flashblock::loops
