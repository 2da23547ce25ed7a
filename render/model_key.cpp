#include "render/model_key.h"

#include <sstream>

namespace flashblock {

std::string model_key(const RenderConfig& config) {
  const ModelDescription& model = config.model;
  std::ostringstream key;
  const auto add = [&](const WeightsFile& weights) { key << weights.path.string() << '\n' << weights.entry << '\n'; };
  add(model.transformer);
  add(model.text_encoder);
  add(model.vae);
  for (const LoraFile& lora : model.lora) {
    add({lora.path, lora.entry});
    key << lora.scale << '\n';
  }
  key << model.transformer_config.string() << '\n' << model.tokenizer.string() << '\n';
  key << config.device << '\n' << config.dtype;
  key << '\n' << config.offload << '\n' << config.cache;
  return key.str();
}

}  // namespace flashblock
