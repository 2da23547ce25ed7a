// Converts between the latents of the transformer, normalised per channel, and those of the Wan VAE.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace flashblock {

/// Mean and standard deviation of each latent channel, ready on a device.
/// Mean, std and 1 / std are each rounded to the compute dtype, as in the reference; in bfloat16 this makes a visible
/// difference. Source: Self-Forcing `utils/wan_wrapper.py`, WanVAEWrapper; Wan2.2 `wan/modules/vae2_2.py`, Wan2_2_VAE.
class LatentStats {
 public:
  /// Those of Wan2.1 for 16 channels, of Wan2.2 for 48. Requires: one of the two.
  LatentStats(int64_t channels, at::Device device, at::ScalarType dtype);

  /// Normalised latents to the VAE's own: z / (1 / std) + mean. Shape: [F, H, W, C] of the compute dtype, in and out.
  at::Tensor denormalise(const at::Tensor& latents) const;

  /// The inverse: (mu - mean) * (1 / std). Shape: as denormalise.
  at::Tensor normalise(const at::Tensor& latents) const;

  int64_t channels() const { return mean_.numel(); }

 private:
  at::Tensor mean_, inverse_std_;  ///< [C]
};

}  // namespace flashblock
