#include "tests/support/diffusers_names.h"

#include <nlohmann/json.hpp>
#include <regex>

#include "tests/support/torch_file_writer.h"
#include "weights/tensor_file.h"

namespace flashblock::testing {
namespace {

using Rules = std::vector<std::pair<std::regex, std::string>>;

Rules rules(const std::vector<std::pair<const char*, const char*>>& texts) {
  Rules list;
  for (const auto& [pattern, replacement] : texts) list.emplace_back(std::regex(pattern), replacement);
  return list;
}

// The first rule that fits.
std::string replaced(const std::string& name, const Rules& list) {
  for (const auto& [pattern, replacement] : list)
    if (std::regex_search(name, pattern)) return std::regex_replace(name, pattern, replacement);
  return name;
}

std::string transformer_name(const std::string& name) {
  static const Rules list = rules({{"^time_embedding\\.0\\.", "condition_embedder.time_embedder.linear_1."},
                                   {"^time_embedding\\.2\\.", "condition_embedder.time_embedder.linear_2."},
                                   {"^time_projection\\.1\\.", "condition_embedder.time_proj."},
                                   {"^text_embedding\\.0\\.", "condition_embedder.text_embedder.linear_1."},
                                   {"^text_embedding\\.2\\.", "condition_embedder.text_embedder.linear_2."},
                                   {"^head\\.modulation$", "scale_shift_table"},
                                   {"^head\\.head\\.", "proj_out."},
                                   {"\\.modulation$", ".scale_shift_table"},
                                   {"\\.norm3\\.", ".norm2."},
                                   {"\\.self_attn\\.([qkv])\\.", ".attn1.to_$1."},
                                   {"\\.self_attn\\.o\\.", ".attn1.to_out.0."},
                                   {"\\.self_attn\\.", ".attn1."},
                                   {"\\.cross_attn\\.([qkv])\\.", ".attn2.to_$1."},
                                   {"\\.cross_attn\\.o\\.", ".attn2.to_out.0."},
                                   {"\\.cross_attn\\.", ".attn2."},
                                   {"\\.ffn\\.0\\.", ".ffn.net.0.proj."},
                                   {"\\.ffn\\.2\\.", ".ffn.net.2."}});
  return replaced(name, list);
}

std::string text_encoder_name(const std::string& name) {
  static const Rules list =
      rules({{"^token_embedding\\.", "shared."},
             {"^norm\\.", "encoder.final_layer_norm."},
             {"^blocks\\.(\\d+)\\.attn\\.", "encoder.block.$1.layer.0.SelfAttention."},
             {"^blocks\\.(\\d+)\\.pos_embedding\\.embedding\\.",
              "encoder.block.$1.layer.0.SelfAttention.relative_attention_bias."},
             {"^blocks\\.(\\d+)\\.norm1\\.", "encoder.block.$1.layer.0.layer_norm."},
             {"^blocks\\.(\\d+)\\.norm2\\.", "encoder.block.$1.layer.1.layer_norm."},
             {"^blocks\\.(\\d+)\\.ffn\\.gate\\.0\\.", "encoder.block.$1.layer.1.DenseReluDense.wi_0."},
             {"^blocks\\.(\\d+)\\.ffn\\.fc1\\.", "encoder.block.$1.layer.1.DenseReluDense.wi_1."},
             {"^blocks\\.(\\d+)\\.ffn\\.fc2\\.", "encoder.block.$1.layer.1.DenseReluDense.wo."}});
  return replaced(name, list);
}

std::string llama_text_name(const std::string& name) {
  static const Rules list = rules({{"^token_embedding\\.", "token_embd."},
                                   {"^norm\\.", "enc.output_norm."},
                                   {"^blocks\\.(\\d+)\\.attn\\.(.)\\.", "enc.blk.$1.attn_$2."},
                                   {"^blocks\\.(\\d+)\\.pos_embedding\\.embedding\\.", "enc.blk.$1.attn_rel_b."},
                                   {"^blocks\\.(\\d+)\\.norm1\\.", "enc.blk.$1.attn_norm."},
                                   {"^blocks\\.(\\d+)\\.norm2\\.", "enc.blk.$1.ffn_norm."},
                                   {"^blocks\\.(\\d+)\\.ffn\\.gate\\.0\\.", "enc.blk.$1.ffn_gate."},
                                   {"^blocks\\.(\\d+)\\.ffn\\.fc1\\.", "enc.blk.$1.ffn_up."},
                                   {"^blocks\\.(\\d+)\\.ffn\\.fc2\\.", "enc.blk.$1.ffn_down."}});
  return replaced(name, list);
}

std::string vae_name(std::string name) {
  static const Rules residual = rules({{"\\.residual\\.0\\.", ".norm1."},
                                       {"\\.residual\\.2\\.", ".conv1."},
                                       {"\\.residual\\.3\\.", ".norm2."},
                                       {"\\.residual\\.6\\.", ".conv2."},
                                       {"\\.shortcut\\.", ".conv_shortcut."}});
  static const Rules places = rules({{"^conv1\\.", "quant_conv."},
                                     {"^conv2\\.", "post_quant_conv."},
                                     {"coder\\.conv1\\.", "coder.conv_in."},
                                     {"coder\\.head\\.0\\.", "coder.norm_out."},
                                     {"coder\\.head\\.2\\.", "coder.conv_out."},
                                     {"\\.middle\\.0\\.", ".mid_block.resnets.0."},
                                     {"\\.middle\\.1\\.", ".mid_block.attentions.0."},
                                     {"\\.middle\\.2\\.", ".mid_block.resnets.1."},
                                     {"\\.downsamples\\.", ".down_blocks."}});
  static const Rules stages = rules({{"downsamples\\.(\\d)\\.downsamples\\.2\\.", "down_blocks.$1.downsampler."},
                                     {"downsamples\\.(\\d)\\.downsamples\\.", "down_blocks.$1.resnets."},
                                     {"upsamples\\.(\\d)\\.upsamples\\.3\\.", "up_blocks.$1.upsampler."},
                                     {"upsamples\\.(\\d)\\.upsamples\\.", "up_blocks.$1.resnets."}});
  name = replaced(replaced(replaced(name, residual), stages), places);
  std::smatch up;
  if (!std::regex_match(name, up, std::regex("decoder\\.upsamples\\.(\\d+)\\.(.*)"))) return name;
  const int index = std::stoi(up[1]);
  const std::string block = "decoder.up_blocks." + std::to_string(index / 4) + ".";
  return block + (index % 4 == 3 ? "upsamplers.0." : "resnets." + std::to_string(index % 4) + ".") + up[2].str();
}

}  // namespace

std::string package_name(NameLayout layout, std::string name) {
  switch (layout) {
    case NameLayout::kTransformer:
      return transformer_name(name);
    case NameLayout::kVae:
    case NameLayout::kResidualVae:
      return vae_name(std::move(name));
    case NameLayout::kTextEncoder:
      return text_encoder_name(name);
    case NameLayout::kLlamaText:
      return llama_text_name(name);
    case NameLayout::kPublished:
      break;
  }
  return name;
}

NamedTensors with_package_names(NameLayout layout, const NamedTensors& tensors) {
  NamedTensors renamed;
  for (const auto& [name, tensor] : tensors) renamed.emplace_back(package_name(layout, name), tensor);
  return renamed;
}

void write_shards(const std::filesystem::path& folder, const std::string& stem, const NamedTensors& tensors,
                  size_t shards) {
  nlohmann::json map = nlohmann::json::object();
  std::filesystem::create_directories(folder);
  for (size_t shard = 0; shard < shards; ++shard) {
    const std::string file =
        stem + "-0000" + std::to_string(shard + 1) + "-of-0000" + std::to_string(shards) + ".safetensors";
    NamedTensors part;
    for (size_t i = shard; i < tensors.size(); i += shards) {
      part.push_back(tensors[i]);
      map[tensors[i].first] = file;
    }
    write_tensor_file(folder / file, part, {{"format", "pt"}});
  }
  write_bytes(folder / (stem + ".safetensors.index.json"),
              nlohmann::json{{"metadata", {{"total_size", 0}}}, {"weight_map", map}}.dump());
}

}  // namespace flashblock::testing
