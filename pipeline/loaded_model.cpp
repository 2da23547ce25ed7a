#include "pipeline/loaded_model.h"

#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>

#include <string>

#include "core/error.h"
#include "models/linear_calibration.h"
#include "models/lora.h"
#include "models/text_encoder.h"
#include "models/tokenizer.h"
#include "pipeline/embedding_cache.h"
#include "pipeline/render_line.h"
#include "vae/latent_encoder.h"
#include "weights/model_component.h"
#include "weights/vae_layout.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

/// A thousand prompts of usual length at UMT5-XXL's width.
constexpr int64_t kEmbeddingCacheBytes = 256 << 20;

std::shared_ptr<const WeightStore> open_part(const std::shared_ptr<const WeightStore>& in_memory,
                                             const WeightsFile& file, ModelComponent component) {
  if (in_memory) return in_memory;
  if (file.path.empty()) {
    throw WeightsError("the model file has no " + name_of(component) + ", which this video needs");
  }
  return WeightStore::open(file.path, file.entry, component);
}

at::Tensor row(const std::vector<int64_t>& values) { return at::tensor(values, at::kLong).unsqueeze(0); }

}  // namespace

LoadedModel::LoadedModel(ModelDescription description, at::Device device, at::ScalarType dtype, Profile& profile,
                         ModelOptions options)
    : description_(std::move(description)),
      device_(device),
      dtype_(dtype),
      profile_(profile),
      options_(std::move(options)),
      transformer_config_(read_transformer_config(*open_transformer(), description_.transformer_config)),
      tokenizer_(std::make_shared<LazyTokenizer>(description_.tokenizer)) {
  if (options_.linears == LinearPrecision::kInt8 && !options_.calibration.empty())
    calibration_ = std::make_shared<LinearCalibration>(
        read_calibration(options_.calibration, description_.name, transformer_config_));
}

ModelSizes LoadedModel::sizes() const {
  const auto vae = open_vae();
  const VaeLayout layout = read_vae_layout(*vae);
  if (layout.latent_channels != transformer_config_.out_channels) {
    throw WeightsError(vae->path().string() + ": a VAE of " + std::to_string(layout.latent_channels) +
                       " latent channels does not fit the transformer, which has " +
                       std::to_string(transformer_config_.out_channels) +
                       "; take the VAE that the model was trained with");
  }
  const int64_t stride = layout.pixel_stride();
  return {.transformer = transformer_config_,
          .strides = {.height = stride, .width = stride, .upscale = layout.upscale},
          .tokenizer = std::filesystem::is_regular_file(description_.tokenizer) ? tokenizer_ : nullptr,
          .decoder_width = layout.decoder_width};
}

std::shared_ptr<const WeightStore> LoadedModel::open_transformer() const {
  std::vector<LoraAdapter> adapters;
  for (const LoraFile& lora : description_.lora)
    adapters.push_back({.weights = WeightStore::open(lora.path, lora.entry), .scale = lora.scale});
  return with_lora(open_part(options_.weights.transformer, description_.transformer, ModelComponent::kTransformer),
                   adapters);
}

std::shared_ptr<const WeightStore> LoadedModel::open_text_encoder() const {
  return open_part(options_.weights.text_encoder, description_.text_encoder, ModelComponent::kTextEncoder);
}

std::shared_ptr<const WeightStore> LoadedModel::open_vae() const {
  return open_part(options_.weights.vae, description_.vae, ModelComponent::kVae);
}

std::vector<EncodedPrompt> LoadedModel::tokenize(const std::vector<std::string>& prompts) const {
  const auto scope = profile_.measure("encode prompt");
  const Tokenizer& tokenizer = tokenizer_->get();
  std::vector<EncodedPrompt> result;
  for (const std::string& prompt : prompts) {
    const TokenIds tokens = tokenizer.encode(prompt, transformer_config_.text_len);
    result.push_back({.ids = row(tokens.ids), .mask = row(tokens.mask)});
  }
  return result;
}

void LoadedModel::encode(const std::vector<EncodedPrompt*>& prompts) const {
  std::vector<EncodedPrompt*> missing;
  std::copy_if(prompts.begin(), prompts.end(), std::back_inserter(missing),
               [](const EncodedPrompt* prompt) { return !prompt->embedding.defined(); });
  if (missing.empty()) return;
  const auto scope = profile_.measure("encode prompt");
  const c10::InferenceMode no_gradients;
  const auto weights = open_text_encoder();
  const EmbeddingCache cache(FileCache(options_.embedding_cache, kEmbeddingCacheBytes), *weights, device_, dtype_);
  for (EncodedPrompt* prompt : missing) prompt->embedding = cache.find(*prompt);
  std::erase_if(missing, [](const EncodedPrompt* prompt) { return prompt->embedding.defined(); });
  if (missing.empty()) return;
  const TextEncoder encoder(weights, device_, dtype_);
  std::vector<TokenBatch> tokens;
  tokens.reserve(missing.size());
  for (const EncodedPrompt* prompt : missing) tokens.push_back({.ids = prompt->ids, .mask = prompt->mask});
  const std::vector<at::Tensor> embeddings = encoder.forward(tokens);
  for (size_t i = 0; i < missing.size(); ++i) missing[i]->embedding = embeddings[i];
  synchronize(device_);
  for (const EncodedPrompt* prompt : missing) cache.put(*prompt);
}

at::Tensor LoadedModel::encode_start(const at::Tensor& pixels) const {
  const auto scope = profile_.measure("encode start");
  const c10::InferenceMode no_gradients;
  const auto encoder = load_latent_encoder(*open_vae(), device_, dtype_);
  const at::Tensor latents = encoder->encode(pixels.to(device_));
  synchronize(device_);
  return latents;
}

std::shared_ptr<const VideoTransformer> LoadedModel::transformer() {
  if (!transformer_) {
    const auto scope = profile_.measure("load");
    const auto weights = open_transformer();
    const LinearOptions linears(options_.linears, calibration_);
    transformer_ = options_.placement == LayerPlacement::kStreamed
                       ? VideoTransformer::stream(weights, transformer_config_, device_, dtype_, linears)
                       : VideoTransformer::load(*weights, transformer_config_, device_, dtype_, linears);
  }
  return transformer_;
}

std::shared_ptr<LatentDecoder> LoadedModel::decoder() {
  if (!decoder_) {
    const auto scope = profile_.measure("load");
    decoder_ = load_latent_decoder(*open_vae(), decoder_device(), dtype_, options_.decoder);
  }
  return decoder_;
}

std::shared_ptr<LatentEncoder> LoadedModel::encoder() {
  if (!encoder_) {
    const auto scope = profile_.measure("load");
    encoder_ = load_latent_encoder(*open_vae(), device_, dtype_);
  }
  return encoder_;
}

std::shared_ptr<RenderLine> LoadedModel::line() {
  if (!line_) line_ = std::make_shared<RenderLine>(device_, decoder_device());
  return line_;
}

}  // namespace flashblock
