#include "weights/name_layout.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace flashblock {
namespace {

struct Renamed {
  std::string_view theirs, ours;  ///< a module, or a tensor
};

constexpr Renamed kTransformerEnds[] = {{"condition_embedder.time_embedder.linear_1", "time_embedding.0"},
                                        {"condition_embedder.time_embedder.linear_2", "time_embedding.2"},
                                        {"condition_embedder.time_proj", "time_projection.1"},
                                        {"condition_embedder.text_embedder.linear_1", "text_embedding.0"},
                                        {"condition_embedder.text_embedder.linear_2", "text_embedding.2"},
                                        {"condition_embedder.image_embedder.norm1", "img_emb.proj.0"},
                                        {"scale_shift_table", "head.modulation"},
                                        {"proj_out", "head.head"}};
constexpr Renamed kTransformerLayer[] = {{"attn1.to_q", "self_attn.q"},
                                         {"attn1.to_k", "self_attn.k"},
                                         {"attn1.to_v", "self_attn.v"},
                                         {"attn1.to_out.0", "self_attn.o"},
                                         {"attn1", "self_attn"},
                                         {"attn2.to_q", "cross_attn.q"},
                                         {"attn2.to_k", "cross_attn.k"},
                                         {"attn2.to_v", "cross_attn.v"},
                                         {"attn2.to_out.0", "cross_attn.o"},
                                         {"attn2.add_k_proj", "cross_attn.k_img"},
                                         {"attn2.add_v_proj", "cross_attn.v_img"},
                                         {"attn2", "cross_attn"},
                                         {"norm2", "norm3"},
                                         {"ffn.net.0.proj", "ffn.0"},
                                         {"ffn.net.2", "ffn.2"},
                                         {"scale_shift_table", "modulation"}};
constexpr Renamed kTextEncoderEnds[] = {
    {"shared", "token_embedding"}, {"encoder.embed_tokens", "token_embedding"}, {"encoder.final_layer_norm", "norm"}};
constexpr Renamed kTextEncoderLayer[] = {{"layer.0.SelfAttention.relative_attention_bias", "pos_embedding.embedding"},
                                         {"layer.0.SelfAttention", "attn"},
                                         {"layer.0.layer_norm", "norm1"},
                                         {"layer.1.layer_norm", "norm2"},
                                         {"layer.1.DenseReluDense.wi_0", "ffn.gate.0"},
                                         {"layer.1.DenseReluDense.wi_1", "ffn.fc1"},
                                         {"layer.1.DenseReluDense.wo", "ffn.fc2"}};
constexpr Renamed kLlamaTextEnds[] = {{"token_embd", "token_embedding"}, {"enc.output_norm", "norm"}};
constexpr Renamed kLlamaTextLayer[] = {{"attn_q", "attn.q"},   {"attn_k", "attn.k"},
                                       {"attn_v", "attn.v"},   {"attn_o", "attn.o"},
                                       {"attn_norm", "norm1"}, {"attn_rel_b", "pos_embedding.embedding"},
                                       {"ffn_norm", "norm2"},  {"ffn_gate", "ffn.gate.0"},
                                       {"ffn_up", "ffn.fc1"},  {"ffn_down", "ffn.fc2"}};
// After `encoder.` or `decoder.`.
constexpr Renamed kCoder[] = {{"conv_in", "conv1"},
                              {"mid_block.resnets.0", "middle.0"},
                              {"mid_block.attentions.0", "middle.1"},
                              {"mid_block.resnets.1", "middle.2"},
                              {"norm_out", "head.0"},
                              {"conv_out", "head.2"}};
constexpr Renamed kResidual[] = {{"norm1", "residual.0"},
                                 {"conv1", "residual.2"},
                                 {"norm2", "residual.3"},
                                 {"conv2", "residual.6"},
                                 {"conv_shortcut", "shortcut"}};
constexpr Renamed kLatentConvolutions[] = {{"quant_conv", "conv1"}, {"post_quant_conv", "conv2"}};

// diffusers groups the decoder's modules: three residual blocks and an upsampler; the published list is flat.
constexpr int64_t kModulesPerUpBlock = 4, kResidualsPerUpBlock = 3;

bool take_front(std::string_view& name, std::string_view front) {
  if (name.substr(0, front.size()) != front) return false;
  name.remove_prefix(front.size());
  return true;
}

// `name`, with its prefix replaced by the first entry of `table` that matches whole parts of the name; `from` and `to`
// are the columns.
std::string renamed(std::string_view name, std::span<const Renamed> table,
                    std::string_view Renamed::*from = &Renamed::theirs,
                    std::string_view Renamed::*to = &Renamed::ours) {
  for (const Renamed& row : table) {
    std::string_view rest = name;
    if (take_front(rest, row.*from) && (rest.empty() || rest.front() == '.'))
      return std::string(row.*to) + std::string(rest);
  }
  return std::string(name);
}

// Removes a number and a dot from the front of `name`.
std::optional<int64_t> take_number(std::string_view& name) {
  int64_t number = 0;
  const auto [end, fault] = std::from_chars(name.data(), name.data() + name.size(), number);
  std::string_view rest = name.substr(static_cast<size_t>(end - name.data()));
  if (fault != std::errc() || number < 0 || number > 100'000 || !take_front(rest, ".")) return std::nullopt;
  name = rest;
  return number;
}

// FRONT N. TAIL with the tail renamed, and `ours` for the front; nullopt if `name` has another form.
std::optional<std::string> renamed_in_layer(std::string_view name, std::string_view front, std::string_view ours,
                                            std::span<const Renamed> table) {
  if (!take_front(name, front)) return std::nullopt;
  const auto layer = take_number(name);
  if (!layer) return std::nullopt;
  return std::string(ours) + std::to_string(*layer) + "." + renamed(name, table);
}

// Modules of a coder outside its up and down blocks.
std::string coder_name(std::string_view name) {
  const std::string outer = renamed(name, kCoder);
  for (const std::string_view block : {"middle.0.", "middle.2."}) {
    std::string_view rest = outer;
    if (take_front(rest, block)) return std::string(block) + renamed(rest, kResidual);
  }
  return outer;
}

std::optional<std::string> up_block_name(std::string_view name) {
  if (!take_front(name, "up_blocks.")) return std::nullopt;
  const auto block = take_number(name);
  if (!block) return std::nullopt;
  const auto flat = [&](int64_t place) {
    return "upsamples." + std::to_string(*block * kModulesPerUpBlock + place) + ".";
  };
  if (take_front(name, "upsamplers.0.")) return flat(kResidualsPerUpBlock) + std::string(name);
  if (!take_front(name, "resnets.")) return std::nullopt;
  const auto place = take_number(name);
  if (!place || *place >= kResidualsPerUpBlock) return std::nullopt;
  return flat(*place) + renamed(name, kResidual);
}

// In a stage of Wan2.2: `resnets.I.` and, with `sampler` for the side, the resampler after them.
std::string stage_name(std::string_view name, std::string_view list, int64_t residuals) {
  if (const auto residual = renamed_in_layer(name, "resnets.", list, kResidual)) return *residual;
  if (take_front(name, "upsampler.") || take_front(name, "downsampler."))
    return std::string(list) + std::to_string(residuals) + "." + std::string(name);
  return std::string(name);
}

std::string residual_vae_name(std::string_view name) {
  struct Side {
    std::string_view coder, blocks, list;
    int64_t residuals;
  };
  for (const auto& [coder, blocks, list, residuals] :
       {Side{"encoder.", "down_blocks.", "downsamples.", 2}, Side{"decoder.", "up_blocks.", "upsamples.", 3}}) {
    std::string_view rest = name;
    if (!take_front(rest, coder)) continue;
    if (!take_front(rest, blocks)) return std::string(coder) + coder_name(rest);
    const auto stage = take_number(rest);
    if (!stage) return std::string(name);
    return std::string(coder) + std::string(list) + std::to_string(*stage) + "." + stage_name(rest, list, residuals);
  }
  return renamed(name, kLatentConvolutions);
}

std::string vae_name(std::string_view name) {
  for (const std::string_view side : {"encoder.", "decoder."}) {
    std::string_view rest = name;
    if (!take_front(rest, side)) continue;
    if (const auto up = up_block_name(rest)) return std::string(side) + *up;
    if (const auto down = renamed_in_layer(rest, "down_blocks.", "downsamples.", kResidual))
      return std::string(side) + *down;
    return std::string(side) + coder_name(rest);
  }
  return renamed(name, kLatentConvolutions);
}

}  // namespace

NameLayout find_layout(const std::function<bool(const std::string&)>& contains) {
  if (contains("blocks.0.attn1.to_q.weight")) return NameLayout::kTransformer;
  if (contains("encoder.block.0.layer.0.SelfAttention.q.weight")) return NameLayout::kTextEncoder;
  if (contains("enc.blk.0.attn_q.weight")) return NameLayout::kLlamaText;
  if (contains("decoder.up_blocks.0.upsampler.resample.1.weight") ||
      contains("encoder.down_blocks.0.resnets.0.conv1.weight"))
    return NameLayout::kResidualVae;
  if (contains("decoder.conv_in.weight") || contains("encoder.conv_in.weight")) return NameLayout::kVae;
  return NameLayout::kPublished;
}

std::string published_name(NameLayout layout, const std::string& name) {
  switch (layout) {
    case NameLayout::kPublished:
      break;
    case NameLayout::kTransformer:
      return renamed_in_layer(name, "blocks.", "blocks.", kTransformerLayer).value_or(renamed(name, kTransformerEnds));
    case NameLayout::kVae:
      return vae_name(name);
    case NameLayout::kResidualVae:
      return residual_vae_name(name);
    case NameLayout::kTextEncoder:
      return renamed_in_layer(name, "encoder.block.", "blocks.", kTextEncoderLayer)
          .value_or(renamed(name, kTextEncoderEnds));
    case NameLayout::kLlamaText:
      return renamed_in_layer(name, "enc.blk.", "blocks.", kLlamaTextLayer).value_or(renamed(name, kLlamaTextEnds));
  }
  return name;
}

std::string diffusers_name(const std::string& name) {
  std::string_view rest = name;
  const auto layer = take_front(rest, "blocks.") ? take_number(rest) : std::nullopt;
  if (!layer) return renamed(name, kTransformerEnds, &Renamed::ours, &Renamed::theirs);
  return "blocks." + std::to_string(*layer) + "." + renamed(rest, kTransformerLayer, &Renamed::ours, &Renamed::theirs);
}

}  // namespace flashblock
