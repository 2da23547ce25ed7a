#include "weights/published_shapes.h"

#include <nlohmann/json.hpp>

namespace flashblock {
namespace {

using Shape = std::vector<int64_t>;

// Appends tensors below a common prefix.
class ShapeList {
 public:
  void add(const std::string& name, Shape shape) { list_.emplace_back(name, std::move(shape)); }
  /// NAME.weight and NAME.bias, the bias as long as the weight's first dimension.
  void layer(const std::string& name, const Shape& weight) {
    add(name + ".weight", weight);
    add(name + ".bias", {weight[0]});
  }
  std::vector<NamedShape> take() { return std::move(list_); }

 private:
  std::vector<NamedShape> list_;
};

void add_attention(ShapeList& list, const std::string& name, int64_t dim) {
  for (const char* part : {".q", ".k", ".v", ".o"}) list.layer(name + part, {dim, dim});
  list.add(name + ".norm_q.weight", {dim});
  list.add(name + ".norm_k.weight", {dim});
}

void add_vae_residual(ShapeList& list, const std::string& name, int64_t in, int64_t out) {
  list.add(name + ".residual.0.gamma", {in, 1, 1, 1});
  list.layer(name + ".residual.2", {out, in, 3, 3, 3});
  list.add(name + ".residual.3.gamma", {out, 1, 1, 1});
  list.layer(name + ".residual.6", {out, out, 3, 3, 3});
  if (in != out) list.layer(name + ".shortcut", {out, in, 1, 1, 1});
}

void add_vae_middle(ShapeList& list, const std::string& name, int64_t width) {
  add_vae_residual(list, name + ".0", width, width);
  list.add(name + ".1.norm.gamma", {width, 1, 1});
  list.layer(name + ".1.to_qkv", {3 * width, width, 1, 1});
  list.layer(name + ".1.proj", {width, width, 1, 1});
  add_vae_residual(list, name + ".2", width, width);
}

void add_vae_encoder(ShapeList& list, int64_t dim, int64_t latent_channels) {
  const int64_t widths[] = {dim, dim, 2 * dim, 4 * dim, 4 * dim};
  list.layer("encoder.conv1", {dim, 3, 3, 3, 3});
  int64_t position = 0;
  const auto next = [&] { return "encoder.downsamples." + std::to_string(position++); };
  for (int stage = 0; stage < 4; ++stage) {
    const int64_t in = widths[stage], out = widths[stage + 1];
    add_vae_residual(list, next(), in, out);
    add_vae_residual(list, next(), out, out);
    if (stage == 3) break;
    const std::string down = next();
    list.layer(down + ".resample.1", {out, out, 3, 3});
    if (stage > 0) list.layer(down + ".time_conv", {out, out, 3, 1, 1});
  }
  add_vae_middle(list, "encoder.middle", 4 * dim);
  list.add("encoder.head.0.gamma", {4 * dim, 1, 1, 1});
  list.layer("encoder.head.2", {2 * latent_channels, 4 * dim, 3, 3, 3});
}

void add_vae_decoder(ShapeList& list, int64_t dim, int64_t latent_channels) {
  const int64_t widths[] = {4 * dim, 4 * dim, 2 * dim, dim};
  list.layer("decoder.conv1", {4 * dim, latent_channels, 3, 3, 3});
  add_vae_middle(list, "decoder.middle", 4 * dim);
  int64_t position = 0;
  const auto next = [&] { return "decoder.upsamples." + std::to_string(position++); };
  for (int stage = 0; stage < 4; ++stage) {
    const int64_t in = stage == 0 ? widths[0] : widths[stage - 1] / 2, out = widths[stage];  // an up step halves
    add_vae_residual(list, next(), in, out);
    for (int repeat = 0; repeat < 2; ++repeat) add_vae_residual(list, next(), out, out);
    if (stage == 3) break;
    const std::string up = next();
    list.layer(up + ".resample.1", {out / 2, out, 3, 3});
    if (stage < 2) list.layer(up + ".time_conv", {2 * out, out, 3, 1, 1});
  }
  list.add("decoder.head.0.gamma", {dim, 1, 1, 1});
  list.layer("decoder.head.2", {3, dim, 3, 3, 3});
}

void add_memory_blocks(ShapeList& list, const std::string& side, int first, int64_t width) {
  for (int block = first; block < first + 3; ++block) {
    const std::string name = side + std::to_string(block) + ".conv.";
    list.layer(name + "0", {width, 2 * width, 3, 3});
    list.layer(name + "2", {width, width, 3, 3});
    list.layer(name + "4", {width, width, 3, 3});
  }
}

void add_tiny_decoder(ShapeList& list, int64_t latent_channels, int64_t planes) {
  list.layer("decoder.1", {256, latent_channels, 3, 3});
  const int64_t widths[] = {256, 128, 64, 64}, grow[] = {1, 2, 2};
  for (int stage = 0; stage < 3; ++stage) {
    const int first = 3 + 6 * stage;
    add_memory_blocks(list, "decoder.", first, widths[stage]);
    list.add("decoder." + std::to_string(first + 4) + ".conv.weight",
             {widths[stage] * grow[stage], widths[stage], 1, 1});
    list.add("decoder." + std::to_string(first + 5) + ".weight", {widths[stage + 1], widths[stage], 3, 3});
  }
  list.layer("decoder.22", {planes, 64, 3, 3});
}

// A resampler of Wan2.2, which keeps its channels; with a time convolution to `time_channels` unless they are 0.
void add_full_resampler(ShapeList& list, const std::string& name, int64_t channels, int64_t time_channels) {
  list.layer(name + ".resample.1", {channels, channels, 3, 3});
  if (time_channels > 0) list.layer(name + ".time_conv", {time_channels, channels, 3, 1, 1});
}

}  // namespace

std::vector<NamedShape> transformer_shapes(const nlohmann::json& config) {
  const int64_t dim = config.at("dim"), ffn = config.at("ffn_dim"), out_channels = config.at("out_dim");
  const Shape patch = config.at("patch_size");
  const int64_t patch_volume = patch[0] * patch[1] * patch[2];
  ShapeList list;
  list.layer("patch_embedding", {dim, config.at("in_dim"), patch[0], patch[1], patch[2]});
  list.layer("text_embedding.0", {dim, config.at("text_dim")});
  list.layer("text_embedding.2", {dim, dim});
  list.layer("time_embedding.0", {dim, config.at("freq_dim")});
  list.layer("time_embedding.2", {dim, dim});
  list.layer("time_projection.1", {6 * dim, dim});
  for (int64_t layer = 0; layer < config.at("num_layers").get<int64_t>(); ++layer) {
    const std::string name = "blocks." + std::to_string(layer);
    list.add(name + ".modulation", {1, 6, dim});
    add_attention(list, name + ".self_attn", dim);
    list.layer(name + ".norm3", {dim});
    add_attention(list, name + ".cross_attn", dim);
    list.layer(name + ".ffn.0", {ffn, dim});
    list.layer(name + ".ffn.2", {dim, ffn});
  }
  list.add("head.modulation", {1, 2, dim});
  list.layer("head.head", {out_channels * patch_volume, dim});
  return list.take();
}

std::vector<NamedShape> umt5_shapes(const nlohmann::json& config) {
  const int64_t dim = config.at("dim"), width = config.at("dim_attn"), ffn = config.at("dim_ffn");
  ShapeList list;
  list.add("token_embedding.weight", {config.at("vocab_size"), dim});
  for (int64_t layer = 0; layer < config.at("num_layers").get<int64_t>(); ++layer) {
    const std::string name = "blocks." + std::to_string(layer);
    list.add(name + ".norm1.weight", {dim});
    list.add(name + ".norm2.weight", {dim});
    for (const char* part : {".q", ".k", ".v"}) list.add(name + ".attn" + part + ".weight", {width, dim});
    list.add(name + ".attn.o.weight", {dim, width});
    list.add(name + ".ffn.gate.0.weight", {ffn, dim});
    list.add(name + ".ffn.fc1.weight", {ffn, dim});
    list.add(name + ".ffn.fc2.weight", {dim, ffn});
    list.add(name + ".pos_embedding.embedding.weight", {config.at("num_buckets"), config.at("num_heads")});
  }
  list.add("norm.weight", {dim});
  return list.take();
}

std::vector<NamedShape> language_shapes(const nlohmann::json& config) {
  const int64_t width = config.at("hidden_size"), ffn = config.at("intermediate_size"), head = config.at("head_dim");
  const int64_t vocabulary = config.at("vocab_size");
  const int64_t q = head * config.at("num_attention_heads").get<int64_t>();
  const int64_t kv = head * config.at("num_key_value_heads").get<int64_t>();
  ShapeList list;
  list.add("model.embed_tokens.weight", {vocabulary, width});
  for (int64_t layer = 0; layer < config.at("num_hidden_layers").get<int64_t>(); ++layer) {
    const std::string name = "model.layers." + std::to_string(layer);
    list.add(name + ".input_layernorm.weight", {width});
    list.add(name + ".self_attn.q_proj.weight", {q, width});
    list.add(name + ".self_attn.k_proj.weight", {kv, width});
    list.add(name + ".self_attn.v_proj.weight", {kv, width});
    list.add(name + ".self_attn.q_norm.weight", {head});
    list.add(name + ".self_attn.k_norm.weight", {head});
    list.add(name + ".self_attn.o_proj.weight", {width, q});
    list.add(name + ".post_attention_layernorm.weight", {width});
    list.add(name + ".mlp.gate_proj.weight", {ffn, width});
    list.add(name + ".mlp.up_proj.weight", {ffn, width});
    list.add(name + ".mlp.down_proj.weight", {width, ffn});
  }
  list.add("model.norm.weight", {width});
  if (!config.value("tie_word_embeddings", false)) list.add("lm_head.weight", {vocabulary, width});
  return list.take();
}

std::vector<NamedShape> vae_shapes(int64_t dim) {
  constexpr int64_t kLatentChannels = 16;
  ShapeList list;
  add_vae_encoder(list, dim, kLatentChannels);
  list.layer("conv1", {2 * kLatentChannels, 2 * kLatentChannels, 1, 1, 1});
  list.layer("conv2", {kLatentChannels, kLatentChannels, 1, 1, 1});
  add_vae_decoder(list, dim, kLatentChannels);
  return list.take();
}

std::vector<NamedShape> upscale_vae_shapes(int64_t dim) {
  std::vector<NamedShape> shapes = vae_shapes(dim);
  for (auto& [name, shape] : shapes)
    if (name.starts_with("decoder.head.2.")) shape[0] *= 4;
  return shapes;
}

std::vector<NamedShape> wan22_vae_shapes(int64_t dim, int64_t decoder_dim) {
  constexpr int64_t kLatentChannels = 48, kPlanes = 12;
  ShapeList list;
  const int64_t down[] = {dim, dim, 2 * dim, 4 * dim, 4 * dim};
  list.layer("encoder.conv1", {dim, kPlanes, 3, 3, 3});
  for (int stage = 0; stage < 4; ++stage) {
    const std::string name = "encoder.downsamples." + std::to_string(stage) + ".downsamples.";
    add_vae_residual(list, name + "0", down[stage], down[stage + 1]);
    add_vae_residual(list, name + "1", down[stage + 1], down[stage + 1]);
    if (stage < 3) add_full_resampler(list, name + "2", down[stage + 1], stage > 0 ? down[stage + 1] : 0);
  }
  add_vae_middle(list, "encoder.middle", 4 * dim);
  list.add("encoder.head.0.gamma", {4 * dim, 1, 1, 1});
  list.layer("encoder.head.2", {2 * kLatentChannels, 4 * dim, 3, 3, 3});
  list.layer("conv1", {2 * kLatentChannels, 2 * kLatentChannels, 1, 1, 1});
  list.layer("conv2", {kLatentChannels, kLatentChannels, 1, 1, 1});
  const int64_t up[] = {4 * decoder_dim, 4 * decoder_dim, 4 * decoder_dim, 2 * decoder_dim, decoder_dim};
  list.layer("decoder.conv1", {up[0], kLatentChannels, 3, 3, 3});
  add_vae_middle(list, "decoder.middle", up[0]);
  for (int stage = 0; stage < 4; ++stage) {
    const std::string name = "decoder.upsamples." + std::to_string(stage) + ".upsamples.";
    const int64_t out = up[stage + 1];
    add_vae_residual(list, name + "0", up[stage], out);
    for (const char* repeat : {"1", "2"}) add_vae_residual(list, name + repeat, out, out);
    if (stage < 3) add_full_resampler(list, name + "3", out, stage < 2 ? 2 * out : 0);
  }
  list.add("decoder.head.0.gamma", {decoder_dim, 1, 1, 1});
  list.layer("decoder.head.2", {kPlanes, decoder_dim, 3, 3, 3});
  return list.take();
}

std::vector<NamedShape> taehv22_shapes() {
  ShapeList list;
  add_tiny_decoder(list, 48, 12);
  return list.take();
}

std::vector<NamedShape> taehv22_super_shapes() {
  ShapeList list;
  const int64_t widths[] = {512, 256, 128, 64}, grow[] = {1, 2, 2};
  list.add("decoder.0.weight", {widths[0], 48, 1, 1});
  for (int stage = 0; stage < 3; ++stage) {
    const int first = 1 + 7 * stage;
    const int64_t width = widths[stage], next = widths[stage + 1];
    for (int block = first; block < first + 3; ++block) {
      const std::string name = "decoder." + std::to_string(block) + ".conv.";
      list.add(name + "0.weight", {2 * width, 1, 7, 7});
      list.layer(name + "1", {4 * width, 2 * width, 1, 1});
      list.add(name + "3.weight", {width, 4 * width, 1, 1});
    }
    list.layer("decoder." + std::to_string(first + 3), {4 * next, width, 3, 3});
    list.add("decoder." + std::to_string(first + 6) + ".conv.weight", {next * grow[stage], next, 1, 1});
  }
  list.layer("decoder.22", {12, widths[3], 3, 3});
  return list.take();
}

std::vector<NamedShape> taehv_shapes() {
  ShapeList list;
  list.layer("encoder.0", {64, 3, 3, 3});
  const int64_t pool[] = {2, 2, 1};
  for (int stage = 0; stage < 3; ++stage) {
    const int first = 2 + 5 * stage;
    list.add("encoder." + std::to_string(first) + ".conv.weight", {64, 64 * pool[stage], 1, 1});
    list.add("encoder." + std::to_string(first + 1) + ".weight", {64, 64, 3, 3});
    add_memory_blocks(list, "encoder.", first + 2, 64);
  }
  list.layer("encoder.17", {16, 64, 3, 3});
  add_tiny_decoder(list, 16, 3);
  return list.take();
}

}  // namespace flashblock
