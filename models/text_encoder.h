// The UMT5 encoder: token ids to the text embedding that the video transformer attends to.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace flashblock {

class TensorTable;
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

  /// Throws: WeightsError if tensors that determine the sizes are missing or contradict each other.
  static TextEncoderConfig from_weights(const WeightStore& weights);
};

/// Padded prompts of one length. Shape: each [B, L] int64 on the CPU.
struct TokenBatch {
  at::Tensor ids;
  at::Tensor mask;  ///< 1 for tokens, 0 for padding
};

/// UMT5 encoder without dropout. It runs layer by layer: a layer's weights are read from the (mapped) file right before
/// use and freed afterwards, so of 11 GB at UMT5-XXL size half a gigabyte is in memory at a time. Only the token
/// embeddings in use are read. All prompts of a video go through each layer together.
/// Thread safety: forward may be called from several threads.
/// Source: Self-Forcing `wan/modules/t5.py`, class `T5Encoder`; Chung et al. 2023, "UniMax" (per-layer position
/// tables).
class TextEncoder {
 public:
  /// Reads no tensors yet.
  /// Throws: WeightsError listing all missing, mis-shaped and unexpected tensors together.
  TextEncoder(std::shared_ptr<const WeightStore> weights, at::Device device, at::ScalarType dtype);

  /// Encodes prompts; the result of a batch does not depend on the others.
  /// Shape: returns for each batch [B, L, dim] on the encoder's device in its dtype.
  /// Rows where mask is 0 are zero. Padding after the longest prompt of a batch is not computed: it does not affect the
  /// other rows. Throws: ConfigError for an id outside the vocabulary.
  std::vector<at::Tensor> forward(const std::vector<TokenBatch>& tokens) const;

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

  /// A batch between layers; L here excludes the padding after the longest prompt.
  struct Work {
    at::Tensor x;        ///< [B, L, D]
    at::Tensor buckets;  ///< [L * L] int64
    at::Tensor padding;  ///< [B, L] bool
  };

  void add_layer(int64_t index, Layer& layer, TensorTable& table) const;
  Layer read_layer(int64_t index) const;
  static void release(const Layer& layer);
  void check_tokens(const TokenBatch& tokens) const;
  Work begin(const TokenBatch& tokens) const;
  void run_layer(const Layer& layer, Work& work) const;
  at::Tensor self_attention(const Layer& layer, const at::Tensor& x, const at::Tensor& buckets,
                            const at::Tensor& padding) const;

  std::shared_ptr<const WeightStore> weights_;
  TextEncoderConfig config_;
  at::Device device_;
  at::ScalarType dtype_;
};

}  // namespace flashblock
