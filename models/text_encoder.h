// The UMT5 encoder: token ids to the text embedding that the video transformer attends to.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace flashblock {

class WeightStore;

/// Sizes of a UMT5 encoder, all of them read from the shapes of its tensors.
/// UMT5-XXL: vocabulary 256384, dim 4096, attention_dim 4096, heads 64, ffn_dim 10240, layers 24.
struct TextEncoderConfig {
  int64_t vocabulary = 0;
  int64_t dim = 0;
  int64_t attention_dim = 0;
  int64_t heads = 0;
  int64_t ffn_dim = 0;
  int64_t layers = 0;

  /// Throws: WeightsError if the tensors that tell the sizes are missing or contradict each other.
  static TextEncoderConfig from_weights(const WeightStore& weights);
};

/// UMT5 encoder without dropout. Immutable after loading.
/// Thread safety: forward may be called from several threads.
/// Source: Self-Forcing `wan/modules/t5.py`, class `T5Encoder`; Chung et al. 2023, "UniMax" (per-layer position
/// tables).
class TextEncoder {
 public:
  /// Throws: WeightsError listing all missing, mis-shaped and unexpected tensors together.
  static TextEncoder load(const WeightStore& weights, at::Device device, at::ScalarType dtype);

  /// Encodes padded prompts.
  /// Shape: ids, mask [B, L] int64 on the CPU; returns [B, L, dim] on the encoder's device in its dtype.
  /// Rows where mask is 0 are zero. Padding behind the longest prompt is not computed: it cannot change the other rows.
  /// Throws: ConfigError for an id outside the vocabulary.
  at::Tensor forward(const at::Tensor& ids, const at::Tensor& mask) const;

  const TextEncoderConfig& config() const { return config_; }

 private:
  struct Layer {
    at::Tensor norm1, norm2;       ///< [D]
    at::Tensor query, key, value;  ///< [A, D], A = attention_dim
    at::Tensor output;             ///< [D, A]
    at::Tensor gate, linear;       ///< [ffn_dim, D]
    at::Tensor projection;         ///< [D, ffn_dim]
    at::Tensor position_bias;      ///< [32, N]: distance bucket, head
  };

  at::Tensor self_attention(const Layer& layer, const at::Tensor& x, const at::Tensor& buckets,
                            const at::Tensor& padding) const;

  TextEncoderConfig config_;
  at::Tensor token_embedding_;  ///< [vocabulary, D]
  std::vector<Layer> layers_;
  at::Tensor final_norm_;  ///< [D]
};

}  // namespace flashblock
