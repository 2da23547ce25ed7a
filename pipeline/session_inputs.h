// The inputs of a video besides weights and recipe: encoded prompts, start, noise.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/noise_source.h"

namespace flashblock {

/// An encoded prompt and the frame block at which it takes effect.
struct EncodedPrompt {
  int64_t first_block = 0;
  at::Tensor ids;        ///< [1, L] int64; undefined if the embedding was given
  at::Tensor mask;       ///< [1, L] int64; undefined if the embedding was given
  at::Tensor embedding;  ///< [1, L, C]
};

/// A prompt that arrived while its video was rendered. It takes effect at `encoded.first_block`.
struct LivePrompt {
  std::string text;
  EncodedPrompt encoded;
};

/// Prompts that are not known when a render begins. The session asks before each frame block, in order, on the thread
/// that denoises.
class PromptSource {
 public:
  virtual ~PromptSource() = default;

  /// The prompt that takes effect at frame block `block`, in place of one planned there; none: the video continues as
  /// planned. Must not wait, as denoising waits for it.
  virtual std::optional<LivePrompt> at_block(int64_t block) = 0;
};

struct SessionInputs {
  std::vector<EncodedPrompt> prompts;  ///< by first_block, which is 0 for the first one
  std::shared_ptr<PromptSource> live;  ///< prompts that arrive during the render; may be null
  at::Tensor negative_embedding;       ///< [1, L, C]; only with guidance
  at::Tensor initial_latents;          ///< [1, F, C, H, W]; undefined: the video begins with the first rendered block
  std::shared_ptr<const NoiseSource> noise;
};

}  // namespace flashblock
