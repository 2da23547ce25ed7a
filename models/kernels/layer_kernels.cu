#include "models/kernels/layer_kernels.h"
#include "models/kernels/row.cuh"

namespace flashblock {
inline namespace layer_kernels_cu {

// Cosines and sines of the four pairs that begin at a column.
struct Turn {
  float4 cosine, sine;
};

__device__ Turn turn_at(const NormRopeArguments& a, unsigned token, int column) {
  const int pairs = int(a.head_dim) / 2;
  const int64_t first = int64_t(token) * pairs + (column / 2) % pairs;
  return {*reinterpret_cast<const float4*>(a.cosine + first), *reinterpret_cast<const float4*>(a.sine + first)};
}

template <typename T>
__device__ void turn_eight(Eight<T>& eight, const Turn& turn) {
  const float cosine[4] = {turn.cosine.x, turn.cosine.y, turn.cosine.z, turn.cosine.w};
  const float sine[4] = {turn.sine.x, turn.sine.y, turn.sine.z, turn.sine.w};
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    const float2 z = widened(eight.pair[j]);
    eight.pair[j] = narrowed<T>(z.x * cosine[j] - z.y * sine[j], z.x * sine[j] + z.y * cosine[j]);
  }
}

// blockIdx.y is the part.
template <typename Layout>
__global__ void __launch_bounds__(Layout::kThreads) norm_rope_kernel(const __grid_constant__ NormRopeParts parts) {
  using T = typename Layout::Element;
  const NormRopeArguments& a = parts.part[blockIdx.y];
  const unsigned row = Layout::row(), tokens = unsigned(a.tokens);
  if (row >= unsigned(a.batch) * tokens) return;
  const unsigned token = row % tokens, batch = row / tokens;
  const T* x = static_cast<const T*>(a.x) + row * a.x_row_stride;
  T* out = static_cast<T*>(a.out) + batch * a.out_batch_stride + token * a.out_token_stride;
  const int width = int(a.width);
  Eight<T> v[Layout::kVectorCount];
  Layout::for_vectors(width, [&](int i, int column) { v[i] = load_eight(x + column); });
  if (!a.weight) return Layout::for_vectors(width, [&](int i, int column) { store_eight(out + column, v[i]); });
  // If a step is a multiple of the head width, all vectors of a thread have the same rotation.
  Turn turn{};
  const bool turns_alike = Layout::kStep % int(a.head_dim) == 0;
  if (a.cosine && turns_alike) turn = turn_at(a, token, Layout::first_column());

  float squares = 0;
  Layout::for_vectors(width, [&](int i, int) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const float2 wide = widened(v[i].pair[j]);
      squares += wide.x * wide.x + wide.y * wide.y;
    }
  });
  const float inverse = 1.0f / sqrtf(Layout::sum(squares) / float(width) + a.eps);
  Layout::for_vectors(width, [&](int i, int column) {
    const Eight<T> weight = load_constant(static_cast<const T*>(a.weight) + column);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const float2 wide = widened(v[i].pair[j]);
      v[i].pair[j] = times(narrowed<T>(wide.x * inverse, wide.y * inverse), weight.pair[j]);
    }
    if (a.cosine) turn_eight(v[i], turns_alike ? turn : turn_at(a, token, column));
    store_eight(out + column, v[i]);
  });
}

// Adds update * gate to the row `v` of x, and stores the row.
template <typename Layout, NormForm kForm, typename T>
__device__ void add_update(const RowNormArguments& a, int64_t first, Eight<T> (&v)[Layout::kVectorCount]) {
  const T* update = static_cast<const T*>(a.update) + first;
  T* x = static_cast<T*>(a.x) + first;
  Eight<T> u[Layout::kVectorCount];
  Layout::for_vectors(int(a.width), [&](int i, int column) { u[i] = load_constant(update + column); });
  Layout::for_vectors(int(a.width), [&](int i, int column) {
    if constexpr (kForm == NormForm::kGatedAffine) {
      const Eight<T> gate = load_constant(static_cast<const T*>(a.gate) + column);
#pragma unroll
      for (int j = 0; j < 4; ++j) u[i].pair[j] = times(u[i].pair[j], gate.pair[j]);
    }
#pragma unroll
    for (int j = 0; j < 4; ++j) v[i].pair[j] = plus(v[i].pair[j], u[i].pair[j]);
    store_eight(x + column, v[i]);
  });
}

template <typename Layout, typename T>
__device__ void store_quantised_row(const RowNormArguments& a, int64_t row, const Eight<T> (&v)[Layout::kVectorCount]) {
  float largest = 0;
  Layout::for_vectors(int(a.width), [&](int i, int) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const float2 wide = widened(v[i].pair[j]);
      largest = larger(largest, larger(fabsf(wide.x), fabsf(wide.y)));
    }
  });
  largest = Layout::largest(largest);
  if (Layout::first_column() == 0) a.scales[row] = row_scale(largest);
  const float inverse = inverse_row_scale(largest);
  Layout::for_vectors(int(a.width), [&](int i, int column) {
    float x[8];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const float2 wide = widened(v[i].pair[j]);
      x[2 * j] = wide.x, x[2 * j + 1] = wide.y;
    }
    store_quantised(a.values + row * a.width + column, x, inverse);
  });
}

template <typename Layout, NormForm kForm>
__global__ void __launch_bounds__(Layout::kThreads) row_norm_kernel(const __grid_constant__ RowNormArguments a) {
  using T = typename Layout::Element;
  const int64_t row = Layout::row();
  if (row >= a.rows) return;
  const int width = int(a.width);
  const T* x = static_cast<const T*>(a.x) + row * width;
  Eight<T> v[Layout::kVectorCount];
  Layout::for_vectors(width, [&](int i, int column) { v[i] = load_eight(x + column); });
  if constexpr (kForm != NormForm::kModulated) add_update<Layout, kForm>(a, row * width, v);

  float sum = 0;
  Layout::for_vectors(width, [&](int i, int) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const float2 wide = widened(v[i].pair[j]);
      sum += wide.x + wide.y;
    }
  });
  const float mean = Layout::sum(sum) / float(width);
  float squares = 0;
  Layout::for_vectors(width, [&](int i, int) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const float2 wide = widened(v[i].pair[j]);
      squares += (wide.x - mean) * (wide.x - mean) + (wide.y - mean) * (wide.y - mean);
    }
  });
  const float inverse = 1.0f / sqrtf(Layout::sum(squares) / float(width) + a.eps);

  Layout::for_vectors(width, [&](int i, int column) {
    const Eight<T> scale = load_constant(static_cast<const T*>(a.scale) + column);
    const Eight<T> shift = load_constant(static_cast<const T*>(a.shift) + column);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const float2 wide = widened(v[i].pair[j]);
      const float2 normed = make_float2((wide.x - mean) * inverse, (wide.y - mean) * inverse);
      if constexpr (kForm == NormForm::kGatedAffine) {
        const float2 s = widened(scale.pair[j]), b = widened(shift.pair[j]);
        v[i].pair[j] = narrowed<T>(normed.x * s.x + b.x, normed.y * s.y + b.y);
      } else {
        v[i].pair[j] = plus(times(narrowed<T>(normed.x, normed.y), scale.pair[j]), shift.pair[j]);
      }
    }
    if (a.out) store_eight(static_cast<T*>(a.out) + row * width + column, v[i]);
  });
  if (!a.out) store_quantised_row<Layout>(a, row, v);
}

constexpr int kSumThreads = 256;

template <typename T>
__global__ void __launch_bounds__(kSumThreads) gated_sum_kernel(GatedSumArguments a, unsigned vectors) {
  const unsigned index = blockIdx.x * kSumThreads + threadIdx.x;
  if (index >= vectors) return;
  T* x = static_cast<T*>(a.x) + int64_t(index) * 8;
  const unsigned column = index % unsigned(a.width / 8) * 8;
  Eight<T> v = load_eight(x);
  const Eight<T> update = load_constant(static_cast<const T*>(a.update) + int64_t(index) * 8);
  const Eight<T> gate = load_constant(static_cast<const T*>(a.gate) + column);
#pragma unroll
  for (int j = 0; j < 4; ++j) v.pair[j] = plus(v.pair[j], times(update.pair[j], gate.pair[j]));
  store_eight(x, v);
}

template <typename Layout>
unsigned thread_blocks(int64_t rows) {
  return unsigned((rows + Layout::kRows - 1) / Layout::kRows);
}

}  // namespace layer_kernels_cu

cudaError_t launch_norm_rope(const NormRopeParts& parts, cudaStream_t stream) {
  const NormRopeArguments& first = parts.part[0];
  with_row_layout(first.element, first.width, [&]<typename Layout>(Layout) {
    const dim3 blocks(thread_blocks<Layout>(first.batch * first.tokens), unsigned(parts.count));
    norm_rope_kernel<Layout><<<blocks, Layout::kThreads, 0, stream>>>(parts);
  });
  return cudaGetLastError();
}

cudaError_t launch_row_norm(const RowNormArguments& a, cudaStream_t stream) {
  with_row_layout(a.element, a.width, [&]<typename Layout>(Layout) {
    const auto kernel = a.form == NormForm::kModulated        ? row_norm_kernel<Layout, NormForm::kModulated>
                        : a.form == NormForm::kAddedModulated ? row_norm_kernel<Layout, NormForm::kAddedModulated>
                                                              : row_norm_kernel<Layout, NormForm::kGatedAffine>;
    kernel<<<thread_blocks<Layout>(a.rows), Layout::kThreads, 0, stream>>>(a);
  });
  return cudaGetLastError();
}

cudaError_t launch_gated_sum(const GatedSumArguments& a, cudaStream_t stream) {
  const unsigned vectors = unsigned(a.rows * a.width / 8), blocks = (vectors + kSumThreads - 1) / kSumThreads;
  if (a.element == Element::kFloat32)
    gated_sum_kernel<float><<<blocks, kSumThreads, 0, stream>>>(a, vectors);
  else
    gated_sum_kernel<__nv_bfloat16><<<blocks, kSumThreads, 0, stream>>>(a, vectors);
  return cudaGetLastError();
}

}  // namespace flashblock
