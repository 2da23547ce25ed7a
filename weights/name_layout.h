// The names that tensors have in a checkpoint: Wan's own, or those of the diffusers and transformers packages.
#pragma once

#include <functional>
#include <string>

namespace flashblock {

/// Who named the tensors of a set of weights.
enum class NameLayout {
  kPublished,    ///< Wan's releases; also everything that is not one of those below
  kTransformer,  ///< diffusers `WanTransformer3DModel`
  kVae,          ///< diffusers `AutoencoderKLWan`
  kTextEncoder,  ///< transformers `UMT5EncoderModel`
};

/// Told by names that every model of a kind has; `contains` says whether a tensor of that name is there.
NameLayout find_layout(const std::function<bool(const std::string&)>& contains);

/// What Wan's releases call the tensor, or the module, that `layout` calls `name`. Names that the layout does not have
/// come back unchanged.
/// Source: diffusers 0.35 `transformer_wan.py` and `autoencoder_kl_wan.py`; transformers 4.57 `modeling_umt5.py`;
/// Self-Forcing `wan/modules/{model,vae,t5}.py`.
std::string published_name(NameLayout layout, const std::string& name);

}  // namespace flashblock
