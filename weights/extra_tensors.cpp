#include "weights/extra_tensors.h"

#include <algorithm>
#include <iterator>

namespace flashblock {
namespace {

constexpr std::string_view kNames[] = {
    // Copies of a tokenizer. Source: ComfyUI `comfy/text_encoders/spiece_tokenizer.py` and `comfy/sd.py`.
    "spiece_model", "tokenizer_json", "tokenizer_model",
    // What ComfyUI saves beside a text encoder, and as marks of how a model is sampled.
    "logit_scale", "v_pred", "ztsnr",
    // Counters of averaged weights: torch.optim.swa_utils, ema-pytorch, LitEma of latent-diffusion.
    "n_averaged", "initted", "step", "num_updates", "decay",
    // Counters of trainers.
    "global_step", "optimization_step", "epoch", "iteration",
    // Rotary tables. Source: Wan2.1 `wan/modules/model.py` (freqs), diffusers `transformer_wan.py` (WanRotaryPosEmbed).
    "freqs", "rope.freqs", "rope.freqs_cos", "rope.freqs_sin", "rope.inv_freq",
    // The noise schedule of latent-diffusion.
    "betas", "alphas_cumprod", "sigmas", "log_sigmas", "logvar"};

/// Beginnings of names, in any layout: the loss that a VAE was trained with, and ComfyUI's noise schedule.
constexpr std::string_view kFronts[] = {"loss.", "model_sampling."};

/// The decoder of the language model whose encoder is used: of transformers and of llama.cpp.
constexpr std::string_view kTextDecoder[] = {"decoder.", "lm_head."};
constexpr std::string_view kLlamaDecoder[] = {"dec.", "output."};

template <typename List>
bool begins_with_one(std::string_view name, const List& fronts) {
  return std::any_of(std::begin(fronts), std::end(fronts),
                     [&](std::string_view front) { return name.starts_with(front); });
}

}  // namespace

bool is_extra_tensor(NameLayout layout, std::string_view name) {
  if (std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames)) return true;
  if (begins_with_one(name, kFronts)) return true;
  return (layout == NameLayout::kTextEncoder && begins_with_one(name, kTextDecoder)) ||
         (layout == NameLayout::kLlamaText && begins_with_one(name, kLlamaDecoder));
}

}  // namespace flashblock
