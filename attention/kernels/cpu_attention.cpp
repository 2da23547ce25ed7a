#include "attention/kernels/cpu_attention.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)

#include <immintrin.h>

// The code below is compiled for AVX-512 and runs only where cpu_attention_available is true. Do not include standard
// headers below this line: their inline functions would be compiled with these instructions for the whole program.
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")

namespace flashblock {
namespace {

constexpr int64_t kLanes = 16;  // floats of a vector
constexpr int kRows = 6;        // queries per micro-kernel: 6 x 4 accumulators of the 32 registers
constexpr int kVectors = 4;     // vectors per micro-kernel: 64 keys, or 64 values of a head
constexpr int64_t kTile = CpuAttention::kTileKeys;
constexpr int64_t kChunkTiles = 4;  // tiles between two updates of the softmax: keys and values of a chunk stay in L2
constexpr int64_t kChunk = kChunkTiles * kTile;
constexpr int64_t kMaxWidth = 128;

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// exp of 16 floats, within 2 units in the last place; 0 below -87. Cody-Waite reduction, polynomial of degree 6.
// Source: S. Moshier, Cephes, expf.
inline __m512 exponential(__m512 x) {
  x = _mm512_max_ps(x, _mm512_set1_ps(-200.0f));
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504088896341f)), 8);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
  __m512 p = _mm512_set1_ps(1.9875691500e-4f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1f));
  p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), _mm512_add_ps(r, _mm512_set1_ps(1.0f)));
  return _mm512_scalef_ps(p, n);
}

inline float scalar_exponential(float x) { return _mm512_cvtss_f32(exponential(_mm512_set1_ps(x))); }

// Per element type: how many consecutive products one instruction adds (its group), the layout of a tile, and the
// multiply-add. Layouts, in groups: keys [D / group][64 keys][group]; values [64 keys / group][D][group]; weights of a
// query [keys / group][group].
struct Float32 {
  using Value = float;
  static constexpr int64_t kGroup = 1;
  static __m512 load(const Value* group) { return _mm512_loadu_ps(group); }
  static __m512 broadcast(const Value* group) { return _mm512_set1_ps(*group); }
  static __m512 multiply_add(__m512 a, __m512 b, __m512 sum) { return _mm512_fmadd_ps(a, b, sum); }
  static void store_weights(Value* to, __m512 weights) { _mm512_storeu_ps(to, weights); }
  static void store_output(Value* to, __m512 x) { _mm512_storeu_ps(to, x); }
};

struct Bfloat16 {
  using Value = uint16_t;
  static constexpr int64_t kGroup = 2;
  static __m512i load(const Value* group) { return _mm512_loadu_si512(group); }
  static __m512i broadcast(const Value* group) {
    int pair;
    __builtin_memcpy(&pair, group, sizeof pair);
    return _mm512_set1_epi32(pair);
  }
  static __m512 multiply_add(__m512i a, __m512i b, __m512 sum) {
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
  }
  static void store_weights(Value* to, __m512 weights) { store_output(to, weights); }
  static void store_output(Value* to, __m512 x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), (__m256i)_mm512_cvtneps_pbh(x));
  }
};

template <typename Type>
const typename Type::Value* element(const CpuAttention::Input& x, int64_t batch, int64_t token, int64_t head) {
  return static_cast<const typename Type::Value*>(x.data) + batch * x.batch_stride + token * x.token_stride +
         head * x.head_stride;
}

template <typename Type>
void pack_unit(const CpuAttention& a, int64_t unit) {
  using Value = typename Type::Value;
  constexpr int64_t group = Type::kGroup;
  const int64_t tile = unit % a.tiles(), head = unit / a.tiles() % a.heads, batch = unit / a.tiles() / a.heads;
  Value* keys = static_cast<Value*>(a.packed_keys) + unit * kTile * a.width;
  Value* values = static_cast<Value*>(a.packed_values) + unit * kTile * a.width;
  const int64_t count = smaller(kTile, a.keys - tile * kTile);
  for (int64_t i = 0; i < kTile; ++i) {
    const bool real = i < count;
    const Value* k = element<Type>(a.k, batch, tile * kTile + (real ? i : 0), head);
    const Value* v = element<Type>(a.v, batch, tile * kTile + (real ? i : 0), head);
    Value* packed_k = keys + i * group;
    Value* packed_v = values + i / group * group * a.width + i % group;
    for (int64_t d = 0; d < a.width; d += group)
      for (int64_t g = 0; g < group; ++g) packed_k[d * kTile + g] = real ? k[d + g] : Value(0);
    for (int64_t d = 0; d < a.width; ++d) packed_v[d * group] = real ? v[d] : Value(0);
  }
}

// scores[row][key] = q[row] . k[key] over the 64 keys of a tile.
template <typename Type, int rows>
void tile_scores(const typename Type::Value* q, int64_t q_stride, const typename Type::Value* keys, int64_t width,
                 float* scores) {
  __m512 sum[rows][kVectors];
  for (auto& row : sum)
    for (__m512& x : row) x = _mm512_setzero_ps();
  for (int64_t d = 0; d < width; d += Type::kGroup) {
    const typename Type::Value* line = keys + d * kTile;
    const auto k0 = Type::load(line), k1 = Type::load(line + kLanes * Type::kGroup),
               k2 = Type::load(line + 2 * kLanes * Type::kGroup), k3 = Type::load(line + 3 * kLanes * Type::kGroup);
#pragma GCC unroll 6
    for (int r = 0; r < rows; ++r) {
      const auto x = Type::broadcast(q + r * q_stride + d);
      sum[r][0] = Type::multiply_add(x, k0, sum[r][0]);
      sum[r][1] = Type::multiply_add(x, k1, sum[r][1]);
      sum[r][2] = Type::multiply_add(x, k2, sum[r][2]);
      sum[r][3] = Type::multiply_add(x, k3, sum[r][3]);
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int i = 0; i < kVectors; ++i) _mm512_storeu_ps(scores + r * kChunk + i * kLanes, sum[r][i]);
}

// output[row] = output[row] * decay[row] + weights[row] . values over `keys` keys, for 64 columns of the head.
template <typename Type, int rows>
void add_weighted_values(const typename Type::Value* weights, const typename Type::Value* values, int64_t keys,
                         int64_t width, const float* decay, float* output) {
  __m512 sum[rows][kVectors];
  for (int r = 0; r < rows; ++r)
    for (int i = 0; i < kVectors; ++i)
      sum[r][i] = _mm512_mul_ps(_mm512_loadu_ps(output + r * kMaxWidth + i * kLanes), _mm512_set1_ps(decay[r]));
  for (int64_t key = 0; key < keys; key += Type::kGroup) {
    const typename Type::Value* line = values + key * width;
    const auto v0 = Type::load(line), v1 = Type::load(line + kLanes * Type::kGroup),
               v2 = Type::load(line + 2 * kLanes * Type::kGroup), v3 = Type::load(line + 3 * kLanes * Type::kGroup);
#pragma GCC unroll 6
    for (int r = 0; r < rows; ++r) {
      const auto w = Type::broadcast(weights + r * kChunk + key);
      sum[r][0] = Type::multiply_add(w, v0, sum[r][0]);
      sum[r][1] = Type::multiply_add(w, v1, sum[r][1]);
      sum[r][2] = Type::multiply_add(w, v2, sum[r][2]);
      sum[r][3] = Type::multiply_add(w, v3, sum[r][3]);
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int i = 0; i < kVectors; ++i) _mm512_storeu_ps(output + r * kMaxWidth + i * kLanes, sum[r][i]);
}

// Running softmax of one query: largest scaled score, sum of exponentials relative to it.
struct Softmax {
  float largest = -__builtin_inff();
  float sum = 0;

  // Turns `count` scores into weights relative to the largest score so far; returns the factor for older sums. Scores
  // from `count` up to a multiple of the tile become weights 0.
  template <typename Type>
  float update(float* scores, int64_t count, float scale, typename Type::Value* weights) {
    const int64_t padded = (count + kTile - 1) / kTile * kTile;
    for (int64_t i = count; i < padded; ++i) scores[i] = -__builtin_inff();
    __m512 top = _mm512_loadu_ps(scores);
    for (int64_t i = kLanes; i < padded; i += kLanes) top = _mm512_max_ps(top, _mm512_loadu_ps(scores + i));
    const float before = largest, found = _mm512_reduce_max_ps(top) * scale;
    largest = found > before ? found : before;
    const __m512 scales = _mm512_set1_ps(scale), shift = _mm512_set1_ps(largest);
    __m512 total = _mm512_setzero_ps();
    for (int64_t i = 0; i < padded; i += kLanes) {
      const __m512 w = exponential(_mm512_fmsub_ps(_mm512_loadu_ps(scores + i), scales, shift));
      total = _mm512_add_ps(total, w);
      Type::store_weights(weights + i, w);
    }
    const float decay = scalar_exponential(before - largest);
    sum = sum * decay + _mm512_reduce_add_ps(total);
    return decay;
  }
};

// The queries of a unit, `rows` at a time, over the keys of one chunk of tiles.
template <typename Type, int rows>
void attend_rows(const CpuAttention& a, const typename Type::Value* q, const typename Type::Value* keys,
                 const typename Type::Value* values, int64_t count, Softmax* softmax, float* output) {
  alignas(64) float scores[rows * kChunk];
  alignas(64) typename Type::Value weights[rows * kChunk];
  float decay[rows];
  for (int64_t key = 0; key < count; key += kTile)
    tile_scores<Type, rows>(q, a.q.token_stride, keys + key * a.width, a.width, scores + key);
  for (int r = 0; r < rows; ++r)
    decay[r] = softmax[r].update<Type>(scores + r * kChunk, count, a.scale, weights + r * kChunk);
  const int64_t padded = (count + Type::kGroup - 1) / Type::kGroup * Type::kGroup;
  for (int64_t column = 0; column < a.width; column += kVectors * kLanes)
    add_weighted_values<Type, rows>(weights, values + column * Type::kGroup, padded, a.width, decay, output + column);
}

template <typename Type>
void attend_some_rows(int64_t rows, const CpuAttention& a, const typename Type::Value* q,
                      const typename Type::Value* keys, const typename Type::Value* values, int64_t count,
                      Softmax* softmax, float* output) {
  switch (rows) {
    case 1:
      return attend_rows<Type, 1>(a, q, keys, values, count, softmax, output);
    case 2:
      return attend_rows<Type, 2>(a, q, keys, values, count, softmax, output);
    case 3:
      return attend_rows<Type, 3>(a, q, keys, values, count, softmax, output);
    case 4:
      return attend_rows<Type, 4>(a, q, keys, values, count, softmax, output);
    case 5:
      return attend_rows<Type, 5>(a, q, keys, values, count, softmax, output);
    default:
      return attend_rows<Type, kRows>(a, q, keys, values, count, softmax, output);
  }
}

template <typename Type>
void attend_unit(const CpuAttention& a, int64_t unit) {
  using Value = typename Type::Value;
  const int64_t blocks = (a.queries + CpuAttention::kBlockQueries - 1) / CpuAttention::kBlockQueries;
  const int64_t first = unit % blocks * CpuAttention::kBlockQueries, head = unit / blocks % a.heads;
  const int64_t batch = unit / blocks / a.heads;
  const int64_t queries = smaller(CpuAttention::kBlockQueries, a.queries - first);
  const int64_t packed = (batch * a.heads + head) * a.tiles() * kTile * a.width;
  const Value* keys = static_cast<const Value*>(a.packed_keys) + packed;
  const Value* values = static_cast<const Value*>(a.packed_values) + packed;
  alignas(64) float output[CpuAttention::kBlockQueries * kMaxWidth] = {};
  Softmax softmax[CpuAttention::kBlockQueries];
  for (int64_t key = 0; key < a.keys; key += kChunk)
    for (int64_t row = 0; row < queries; row += kRows)
      attend_some_rows<Type>(smaller(kRows, queries - row), a, element<Type>(a.q, batch, first + row, head),
                             keys + key * a.width, values + key * a.width, smaller(kChunk, a.keys - key), softmax + row,
                             output + row * kMaxWidth);
  for (int64_t row = 0; row < queries; ++row) {
    Value* out = static_cast<Value*>(a.output) + ((batch * a.queries + first + row) * a.heads + head) * a.width;
    const __m512 inverse = _mm512_set1_ps(1.0f / softmax[row].sum);
    for (int64_t d = 0; d < a.width; d += kLanes)
      Type::store_output(out + d, _mm512_mul_ps(_mm512_loadu_ps(output + row * kMaxWidth + d), inverse));
    a.lse[(batch * a.heads + head) * a.queries + first + row] = softmax[row].largest + __builtin_logf(softmax[row].sum);
  }
}

}  // namespace

void pack_keys_values(const CpuAttention& attention, int64_t begin, int64_t end) {
  for (int64_t unit = begin; unit < end; ++unit)
    attention.element == Element::kFloat32 ? pack_unit<Float32>(attention, unit) : pack_unit<Bfloat16>(attention, unit);
}

void attend_queries(const CpuAttention& attention, int64_t begin, int64_t end) {
  for (int64_t unit = begin; unit < end; ++unit)
    attention.element == Element::kFloat32 ? attend_unit<Float32>(attention, unit)
                                           : attend_unit<Bfloat16>(attention, unit);
}

}  // namespace flashblock

#pragma GCC pop_options

namespace flashblock {

bool cpu_attention_available(Element element, int64_t width) {
  static const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  static const bool bf16 = avx512 && __builtin_cpu_supports("avx512bf16");
  return (width == 64 || width == 128) && (element == Element::kFloat32 ? avx512 : bf16);
}

}  // namespace flashblock

#else  // other processors and compilers: LibTorch's kernel

namespace flashblock {

bool cpu_attention_available(Element, int64_t) { return false; }
void pack_keys_values(const CpuAttention&, int64_t, int64_t) {}
void attend_queries(const CpuAttention&, int64_t, int64_t) {}

}  // namespace flashblock

#endif
