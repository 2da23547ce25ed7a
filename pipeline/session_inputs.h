// The inputs of a video besides weights and recipe: encoded prompts, start, noise.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "pipeline/noise_source.h"

namespace flashblock {

class PromptSource;

/// An encoded prompt and the frame block at which it takes effect.
struct EncodedPrompt {
  int64_t first_block = 0;
  at::Tensor ids;        ///< [1, L] int64; undefined if the embedding was given
  at::Tensor mask;       ///< [1, L] int64; undefined if the embedding was given
  at::Tensor embedding;  ///< [1, L, C]
};

struct SessionInputs {
  std::vector<EncodedPrompt> prompts;  ///< ordered by first_block, which is 0 for the first one
  std::shared_ptr<PromptSource> live;  ///< prompts that come while the video is rendered; null: none do
  at::Tensor negative_embedding;       ///< [1, L, C]; only with guidance
  at::Tensor initial_latents;          ///< [1, F, C, H, W]; undefined: the video begins with the first rendered block
  std::shared_ptr<const NoiseSource> noise;
};

}  // namespace flashblock
