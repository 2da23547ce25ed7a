#include "pipeline/loaded_model.h"

#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>

#include "core/error.h"
#include "core/weight_store.h"
#include "models/lora.h"
#include "models/text_encoder.h"
#include "models/tokenizer.h"
#include "pipeline/device_stream.h"
#include "vae/latent_encoder.h"

namespace flashblock {
namespace {

std::shared_ptr<const WeightStore> open_part(const WeightsFile& file, const char* part) {
  if (file.path.empty()) {
    throw WeightsError(std::string("the model file names no ") + part + ", and this film needs one");
  }
  return WeightStore::open(file.path, file.entry);
}

/// The transformer with its adapters merged. Source of `lora`: docs/checkpoints.md.
std::shared_ptr<const WeightStore> open_transformer(const ModelDescription& description) {
  std::vector<LoraAdapter> adapters;
  for (const LoraFile& lora : description.lora)
    adapters.push_back({.weights = WeightStore::open(lora.path, lora.entry), .scale = lora.scale});
  return with_lora(open_part(description.transformer, "transformer"), adapters);
}

at::Tensor row(const std::vector<int64_t>& values) { return at::tensor(values, at::kLong).unsqueeze(0); }

}  // namespace

LoadedModel::LoadedModel(ModelDescription description, at::Device device, at::ScalarType dtype, Profile& profile)
    : description_(std::move(description)),
      device_(device),
      dtype_(dtype),
      profile_(profile),
      transformer_config_(read_transformer_config(*open_part(description_.transformer, "transformer"),
                                                  description_.transformer_config)) {}

std::vector<EncodedPrompt> LoadedModel::tokenize(const std::vector<std::string>& prompts) const {
  const auto scope = profile_.measure("encode prompt");
  const Tokenizer tokenizer = Tokenizer::load(description_.tokenizer);
  std::vector<EncodedPrompt> result;
  for (const std::string& prompt : prompts) {
    const TokenIds tokens = tokenizer.encode(prompt, transformer_config_.text_len);
    result.push_back({.ids = row(tokens.ids), .mask = row(tokens.mask)});
  }
  return result;
}

void LoadedModel::encode(const std::vector<EncodedPrompt*>& prompts) const {
  std::vector<EncodedPrompt*> wanting;
  std::copy_if(prompts.begin(), prompts.end(), std::back_inserter(wanting),
               [](const EncodedPrompt* prompt) { return !prompt->embedding.defined(); });
  if (wanting.empty()) return;
  const auto scope = profile_.measure("encode prompt");
  const c10::InferenceMode no_gradients;
  const TextEncoder encoder = TextEncoder::load(*open_part(description_.text_encoder, "text encoder"), device_, dtype_);
  for (EncodedPrompt* prompt : wanting) prompt->embedding = encoder.forward(prompt->ids, prompt->mask);
  synchronize(device_);
}

at::Tensor LoadedModel::encode_start(const at::Tensor& pixels) const {
  const auto scope = profile_.measure("encode start");
  const c10::InferenceMode no_gradients;
  const auto encoder = load_latent_encoder(*open_part(description_.vae, "VAE"), device_, dtype_);
  const at::Tensor latents = encoder->encode(pixels.to(device_));
  synchronize(device_);
  return latents;
}

std::shared_ptr<const VideoTransformer> LoadedModel::transformer() {
  if (!transformer_) {
    const auto scope = profile_.measure("load");
    transformer_ = VideoTransformer::load(*open_transformer(description_), transformer_config_, device_, dtype_);
  }
  return transformer_;
}

std::shared_ptr<LatentDecoder> LoadedModel::decoder() {
  if (!decoder_) {
    const auto scope = profile_.measure("load");
    decoder_ = load_latent_decoder(*open_part(description_.vae, "VAE"), device_, dtype_);
  }
  return decoder_;
}

}  // namespace flashblock
