#include "models/text_encoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <numbers>
#include <string>

#include "core/check.h"
#include "core/error.h"
#include "core/mapped_file.h"
#include "weights/tensor_table.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

constexpr double kEpsilon = 1e-6;
constexpr int64_t kBuckets = 32;

std::string layer_name(int64_t layer, const char* tensor) { return "blocks." + std::to_string(layer) + "." + tensor; }

/// Root mean square norm. Numerics: float32 up to one rounding to the dtype of the weight, then times the weight.
at::Tensor t5_norm(const at::Tensor& x, const at::Tensor& weight) {
  const at::Tensor mean_square = x.to(at::kFloat).pow(2).mean(-1, /*keepdim=*/true);
  return weight * (x * at::rsqrt(mean_square + kEpsilon)).to(weight.scalar_type());
}

/// GELU in its tanh form, rounded after every operation as in the published encoder. Its two constants are first
/// rounded to the dtype of x, as by the LibTorch that the reference was recorded with, so results agree bit for bit.
at::Tensor gelu_tanh(const at::Tensor& x) {
  const at::Tensor cubic = at::scalar_tensor(0.044715, x.options());
  const at::Tensor scale = at::scalar_tensor(std::sqrt(2 * std::numbers::inv_pi), x.options());
  const at::Tensor inner = x + x.pow(3.0) * cubic;
  return (x * 0.5) * (at::tanh(inner * scale) + 1.0);
}

/// The bucket of a distance `key - query`: exact up to 7, then logarithmic up to 91, with separate buckets for keys
/// after the query. The bounds are those of 8 + trunc(ln(n / 8) / ln(16) * 8) in float32. Source: Self-Forcing
/// `wan/modules/t5.py`, `T5RelativeEmbedding._relative_position_bucket` with 32 buckets and distance 128.
int64_t bucket_of(int64_t distance) {
  constexpr int64_t kFirst[] = {1,  2,  3,  4,  5,  6,  7, 8,
                                12, 16, 23, 32, 46, 64, 91};  // first distance of bucket 1, 2, ...
  int64_t bucket = 0;
  for (const int64_t first : kFirst) bucket += std::abs(distance) >= first ? 1 : 0;
  return distance > 0 ? kBuckets / 2 + bucket : bucket;
}

/// Shape: returns [L * L] int64, queries outermost.
at::Tensor distance_buckets(int64_t length, at::Device device) {
  at::Tensor buckets = at::empty({length * length}, at::kLong);
  auto* out = buckets.data_ptr<int64_t>();
  for (int64_t query = 0; query < length; ++query)
    for (int64_t key = 0; key < length; ++key) *out++ = bucket_of(key - query);
  return buckets.to(device);
}

/// Length up to the last unpadded token of any row.
int64_t used_length(const at::Tensor& mask) {
  const at::Tensor used = mask.ne(0).any(0);
  int64_t length = used.size(0);
  while (length > 1 && !used[length - 1].item<bool>()) --length;
  return length;
}

double least_value(at::ScalarType dtype) {
  return dtype == at::kFloat ? std::numeric_limits<float>::lowest()
                             : static_cast<double>(std::numeric_limits<c10::BFloat16>::lowest());
}

}  // namespace

TextEncoderConfig TextEncoderConfig::from_weights(const WeightStore& weights) {
  const auto matrix = [&](const std::string& name) {
    const std::vector<int64_t> shape = weights.shape(name);
    if (shape.size() != 2)
      throw WeightsError(weights.path().string() + ": " + name + " has " + std::to_string(shape.size()) +
                         " dimensions, a UMT5 encoder's has 2");
    return shape;
  };
  const auto embedding = matrix("token_embedding.weight");
  const auto query = matrix(layer_name(0, "attn.q.weight"));
  const auto linear = matrix(layer_name(0, "ffn.fc1.weight"));
  const auto positions = matrix(layer_name(0, "pos_embedding.embedding.weight"));
  TextEncoderConfig config{.vocabulary = embedding[0],
                           .dim = embedding[1],
                           .attention_dim = query[0],
                           .heads = positions[1],
                           .ffn_dim = linear[0]};
  while (weights.contains(layer_name(config.layers, "norm1.weight"))) ++config.layers;
  if (positions[0] != kBuckets)
    throw WeightsError(weights.path().string() + ": the position table has " + std::to_string(positions[0]) +
                       " buckets, UMT5 has " + std::to_string(kBuckets));
  if (config.heads < 1 || config.attention_dim % config.heads != 0)
    throw WeightsError(weights.path().string() + ": attention of width " + std::to_string(config.attention_dim) +
                       " cannot be split into the " + std::to_string(config.heads) + " heads of the position table");
  return config;
}

TextEncoder::TextEncoder(std::shared_ptr<const WeightStore> weights, at::Device device, at::ScalarType dtype)
    : weights_(std::move(weights)),
      config_(TextEncoderConfig::from_weights(*weights_)),
      device_(device),
      dtype_(dtype) {
  FB_CHECK(dtype == at::kFloat || dtype == at::kBFloat16);
  TensorTable table;
  at::Tensor token_embedding, final_norm;
  std::vector<Layer> layers(static_cast<size_t>(config_.layers));
  table.add("token_embedding.weight", {config_.vocabulary, config_.dim}, token_embedding);
  for (int64_t i = 0; i < config_.layers; ++i) add_layer(i, layers[static_cast<size_t>(i)], table);
  table.add("norm.weight", {config_.dim}, final_norm);
  table.check(*weights_);
}

void TextEncoder::add_layer(int64_t index, Layer& layer, TensorTable& table) const {
  const TextEncoderConfig& c = config_;
  table.add(layer_name(index, "norm1.weight"), {c.dim}, layer.norm1);
  table.add(layer_name(index, "attn.q.weight"), {c.attention_dim, c.dim}, layer.query);
  table.add(layer_name(index, "attn.k.weight"), {c.attention_dim, c.dim}, layer.key);
  table.add(layer_name(index, "attn.v.weight"), {c.attention_dim, c.dim}, layer.value);
  table.add(layer_name(index, "attn.o.weight"), {c.dim, c.attention_dim}, layer.output);
  table.add(layer_name(index, "norm2.weight"), {c.dim}, layer.norm2);
  table.add(layer_name(index, "ffn.gate.0.weight"), {c.ffn_dim, c.dim}, layer.gate);
  table.add(layer_name(index, "ffn.fc1.weight"), {c.ffn_dim, c.dim}, layer.linear);
  table.add(layer_name(index, "ffn.fc2.weight"), {c.dim, c.ffn_dim}, layer.projection);
  table.add(layer_name(index, "pos_embedding.embedding.weight"), {kBuckets, c.heads}, layer.position_bias);
}

TextEncoder::Layer TextEncoder::read_layer(int64_t index) const {
  Layer layer;
  TensorTable table;
  add_layer(index, layer, table);
  table.fill(*weights_, device_, dtype_);
  return layer;
}

/// Releases the memory of a layer whose weights are views into the file.
void TextEncoder::release(const Layer& layer) {
  for (const at::Tensor* tensor : {&layer.norm1, &layer.norm2, &layer.query, &layer.key, &layer.value, &layer.output,
                                   &layer.gate, &layer.linear, &layer.projection, &layer.position_bias}) {
    if (tensor->is_cpu())
      MappedFile::release({static_cast<const std::byte*>(tensor->const_data_ptr()), tensor->nbytes()});
  }
}

/// Shape: x [B, L, D]; buckets [L * L] int64; padding [B, 1, 1, L] bool, true where a key is padding; returns [B, L,
/// D]. Numerics: logits rounded after the product and after the bias; softmax in float32; no scaling by the head width.
at::Tensor TextEncoder::self_attention(const Layer& layer, const at::Tensor& x, const at::Tensor& buckets,
                                       const at::Tensor& padding) const {
  const int64_t batch = x.size(0), length = x.size(1), heads = config_.heads;
  const auto split = [&](const at::Tensor& weight) {
    return at::linear(x, weight).view({batch, length, heads, -1}).transpose(1, 2);
  };
  const at::Tensor bias = layer.position_bias.index_select(0, buckets).view({length, length, heads}).permute({2, 0, 1});
  const at::Tensor masked = bias.unsqueeze(0).masked_fill(padding, least_value(x.scalar_type()));
  const at::Tensor logits = at::matmul(split(layer.query), split(layer.key).transpose(-2, -1)) + masked;
  const at::Tensor weights = at::softmax(logits.to(at::kFloat), -1).to(x.scalar_type());
  const at::Tensor mixed = at::matmul(weights, split(layer.value)).transpose(1, 2).reshape({batch, length, -1});
  return at::linear(mixed, layer.output);
}

void TextEncoder::check_tokens(const TokenBatch& tokens) const {
  const auto& [ids, mask] = tokens;
  FB_CHECK(ids.dim() == 2 && ids.sizes() == mask.sizes() && ids.size(1) >= 1);
  FB_CHECK(ids.scalar_type() == at::kLong && mask.scalar_type() == at::kLong && ids.is_cpu() && mask.is_cpu());
  if (const int64_t largest = ids.max().item<int64_t>(), least = ids.min().item<int64_t>();
      least < 0 || largest >= config_.vocabulary)
    throw ConfigError("token id " + std::to_string(least < 0 ? least : largest) + " is outside the text encoder's " +
                      std::to_string(config_.vocabulary) + " embeddings: tokenizer and text encoder do not match");
}

/// Reads only the rows in use from the table, which is a fifth of the encoder.
TextEncoder::Work TextEncoder::begin(const TokenBatch& tokens) const {
  check_tokens(tokens);
  const int64_t batch = tokens.ids.size(0), length = used_length(tokens.mask);
  const at::Tensor ids = tokens.ids.narrow(1, 0, length).reshape(-1);
  const at::Tensor rows = weights_->rows("token_embedding.weight", ids);
  check_finite(*weights_, "token_embedding.weight", rows);
  return {.x = rows.to(device_, dtype_).view({batch, length, config_.dim}),
          .buckets = distance_buckets(length, device_),
          .padding = tokens.mask.narrow(1, 0, length).eq(0).to(device_)};
}

void TextEncoder::run_layer(const Layer& layer, Work& work) const {
  const int64_t batch = work.x.size(0), length = work.x.size(1);
  const at::Tensor key_padding = work.padding.view({batch, 1, 1, length});
  work.x = work.x + self_attention(layer, t5_norm(work.x, layer.norm1), work.buckets, key_padding);
  const at::Tensor f = t5_norm(work.x, layer.norm2);
  work.x = work.x + at::linear(at::linear(f, layer.linear) * gelu_tanh(at::linear(f, layer.gate)), layer.projection);
}

std::vector<at::Tensor> TextEncoder::forward(const std::vector<TokenBatch>& tokens) const {
  std::vector<Work> works;
  works.reserve(tokens.size());
  for (const TokenBatch& batch : tokens) works.push_back(begin(batch));
  for (int64_t i = 0; i < config_.layers; ++i) {
    const Layer layer = read_layer(i);
    for (Work& work : works) run_layer(layer, work);
    release(layer);
  }
  const at::Tensor norm = weights_->tensor("norm.weight").to(device_, dtype_);
  check_finite(*weights_, "norm.weight", weights_->tensor("norm.weight"));
  std::vector<at::Tensor> embeddings;
  for (size_t i = 0; i < works.size(); ++i) {
    const at::Tensor x = t5_norm(works[i].x, norm).masked_fill(works[i].padding.unsqueeze(-1), 0);
    const int64_t padding = tokens[i].ids.size(1) - x.size(1);
    embeddings.push_back(at::cat({x, at::zeros({x.size(0), padding, config_.dim}, x.options())}, 1));
  }
  return embeddings;
}

}  // namespace flashblock
