#include "weights/name_layout.h"

#include <gtest/gtest.h>

#include <utility>

namespace flashblock::testing {
namespace {

void expect_names(NameLayout layout, const std::vector<std::pair<std::string, std::string>>& names) {
  for (const auto& [theirs, published] : names) EXPECT_EQ(published_name(layout, theirs), published) << theirs;
}

TEST(NameLayout, TransformerOfDiffusers) {
  expect_names(NameLayout::kTransformer,
               {{"patch_embedding.weight", "patch_embedding.weight"},
                {"condition_embedder.time_embedder.linear_1.bias", "time_embedding.0.bias"},
                {"condition_embedder.time_proj.weight", "time_projection.1.weight"},
                {"condition_embedder.text_embedder.linear_2.weight", "text_embedding.2.weight"},
                {"blocks.29.attn1.to_q.weight", "blocks.29.self_attn.q.weight"},
                {"blocks.0.attn1.to_out.0.bias", "blocks.0.self_attn.o.bias"},
                {"blocks.0.attn2.norm_k.weight", "blocks.0.cross_attn.norm_k.weight"},
                {"blocks.0.norm2.bias", "blocks.0.norm3.bias"},
                {"blocks.3.ffn.net.0.proj.weight", "blocks.3.ffn.0.weight"},
                {"blocks.3.ffn.net.2.bias", "blocks.3.ffn.2.bias"},
                {"blocks.3.scale_shift_table", "blocks.3.modulation"},
                {"scale_shift_table", "head.modulation"},
                {"proj_out.weight", "head.head.weight"},
                {"blocks.0.attn1.to_q", "blocks.0.self_attn.q"},  // a module, as adapters name it
                {"blocks.x.attn1.to_q.weight", "blocks.x.attn1.to_q.weight"},
                {"proj_outer.weight", "proj_outer.weight"}});
}

TEST(NameLayout, VaeOfDiffusers) {
  expect_names(NameLayout::kVae,
               {{"quant_conv.weight", "conv1.weight"},
                {"post_quant_conv.bias", "conv2.bias"},
                {"encoder.conv_in.weight", "encoder.conv1.weight"},
                {"encoder.down_blocks.3.norm1.gamma", "encoder.downsamples.3.residual.0.gamma"},
                {"encoder.down_blocks.3.conv_shortcut.bias", "encoder.downsamples.3.shortcut.bias"},
                {"encoder.down_blocks.5.time_conv.weight", "encoder.downsamples.5.time_conv.weight"},
                {"encoder.down_blocks.2.resample.1.bias", "encoder.downsamples.2.resample.1.bias"},
                {"encoder.mid_block.resnets.1.conv2.weight", "encoder.middle.2.residual.6.weight"},
                {"decoder.mid_block.attentions.0.to_qkv.weight", "decoder.middle.1.to_qkv.weight"},
                {"decoder.mid_block.resnets.0.norm2.gamma", "decoder.middle.0.residual.3.gamma"},
                {"decoder.up_blocks.0.resnets.2.conv1.weight", "decoder.upsamples.2.residual.2.weight"},
                {"decoder.up_blocks.0.upsamplers.0.time_conv.bias", "decoder.upsamples.3.time_conv.bias"},
                {"decoder.up_blocks.3.resnets.0.conv2.bias", "decoder.upsamples.12.residual.6.bias"},
                {"decoder.norm_out.gamma", "decoder.head.0.gamma"},
                {"decoder.conv_out.weight", "decoder.head.2.weight"},
                {"decoder.up_blocks.0.resnets.3.conv1.weight", "decoder.up_blocks.0.resnets.3.conv1.weight"}});
}

TEST(NameLayout, TextEncoderOfLlamaCpp) {
  expect_names(NameLayout::kLlamaText, {{"token_embd.weight", "token_embedding.weight"},
                                        {"enc.output_norm.weight", "norm.weight"},
                                        {"enc.blk.23.attn_o.weight", "blocks.23.attn.o.weight"},
                                        {"enc.blk.0.attn_rel_b.weight", "blocks.0.pos_embedding.embedding.weight"},
                                        {"enc.blk.1.attn_norm.weight", "blocks.1.norm1.weight"},
                                        {"enc.blk.1.ffn_norm.weight", "blocks.1.norm2.weight"},
                                        {"enc.blk.1.ffn_gate.weight", "blocks.1.ffn.gate.0.weight"},
                                        {"enc.blk.1.ffn_up.weight", "blocks.1.ffn.fc1.weight"},
                                        {"enc.blk.1.ffn_down.weight", "blocks.1.ffn.fc2.weight"}});
}

TEST(NameLayout, Wan22VaeOfDiffusers) {
  expect_names(
      NameLayout::kResidualVae,
      {{"quant_conv.weight", "conv1.weight"},
       {"encoder.conv_in.weight", "encoder.conv1.weight"},
       {"encoder.down_blocks.0.resnets.1.norm1.gamma", "encoder.downsamples.0.downsamples.1.residual.0.gamma"},
       {"encoder.down_blocks.1.resnets.0.conv_shortcut.bias", "encoder.downsamples.1.downsamples.0.shortcut.bias"},
       {"encoder.down_blocks.2.downsampler.time_conv.weight", "encoder.downsamples.2.downsamples.2.time_conv.weight"},
       {"decoder.mid_block.resnets.0.norm2.gamma", "decoder.middle.0.residual.3.gamma"},
       {"decoder.up_blocks.3.resnets.2.conv1.weight", "decoder.upsamples.3.upsamples.2.residual.2.weight"},
       {"decoder.up_blocks.0.upsampler.resample.1.bias", "decoder.upsamples.0.upsamples.3.resample.1.bias"},
       {"decoder.conv_out.weight", "decoder.head.2.weight"},
       {"decoder.up_blocks.x.resnets.3.conv1.weight", "decoder.up_blocks.x.resnets.3.conv1.weight"}});
}

TEST(NameLayout, TextEncoderOfTransformers) {
  expect_names(NameLayout::kTextEncoder,
               {{"shared.weight", "token_embedding.weight"},
                {"encoder.block.7.layer.0.SelfAttention.o.weight", "blocks.7.attn.o.weight"},
                {"encoder.block.7.layer.0.SelfAttention.relative_attention_bias.weight",
                 "blocks.7.pos_embedding.embedding.weight"},
                {"encoder.block.7.layer.0.layer_norm.weight", "blocks.7.norm1.weight"},
                {"encoder.block.7.layer.1.layer_norm.weight", "blocks.7.norm2.weight"},
                {"encoder.block.7.layer.1.DenseReluDense.wi_0.weight", "blocks.7.ffn.gate.0.weight"},
                {"encoder.block.7.layer.1.DenseReluDense.wi_1.weight", "blocks.7.ffn.fc1.weight"},
                {"encoder.block.7.layer.1.DenseReluDense.wo.weight", "blocks.7.ffn.fc2.weight"},
                {"encoder.final_layer_norm.weight", "norm.weight"}});
}

}  // namespace
}  // namespace flashblock::testing
