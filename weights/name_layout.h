// Naming conventions of checkpoint tensors: those of Wan's releases, of diffusers and of transformers.
#pragma once

#include <functional>
#include <string>

namespace flashblock {

/// The naming convention of a set of weights.
enum class NameLayout {
  kPublished,    ///< Wan's releases; the default if no other matches
  kTransformer,  ///< diffusers `WanTransformer3DModel`
  kVae,          ///< diffusers `AutoencoderKLWan`
  kResidualVae,  ///< the same with `is_residual`: Wan2.2
  kTextEncoder,  ///< transformers `UMT5EncoderModel`
  kLlamaText,    ///< llama.cpp's T5 encoder, in GGUF files
};

/// Detects the layout by names that all of its models have; `contains` tests whether a tensor exists.
NameLayout find_layout(const std::function<bool(const std::string&)>& contains);

/// Translates the name of a tensor or module from `layout` to Wan's releases. Names that the layout does not define
/// are returned unchanged.
/// Source: diffusers 0.35 `transformer_wan.py` and `autoencoder_kl_wan.py`; transformers 4.57 `modeling_umt5.py`;
/// llama.cpp `gguf-py/gguf/constants.py`, MODEL_ARCH.T5ENCODER;
/// Self-Forcing `wan/modules/{model,vae,t5}.py`.
std::string published_name(NameLayout layout, const std::string& name);

/// The name in diffusers' transformer of a tensor or module that Wan's releases call `name`: the inverse of
/// published_name for NameLayout::kTransformer.
std::string diffusers_name(const std::string& name);

}  // namespace flashblock
