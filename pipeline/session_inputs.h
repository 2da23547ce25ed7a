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
  /// Takes its place at the block after `first_block`, unless another prompt does; null: none. Of a prompt that begins
  /// a shot: the same without the words that say so.
  std::shared_ptr<EncodedPrompt> next = {};
};

/// A prompt that arrived while its video was rendered. It takes effect at `encoded.first_block`.
struct LivePrompt {
  std::string text;
  EncodedPrompt encoded;
  bool shot = false;  ///< its block begins a shot
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
  std::vector<int64_t> shots;          ///< rising: the frame blocks that begin a shot, none of them the first
  at::Tensor negative_embedding;       ///< [1, L, C]; only with guidance
  /// [1, F, C, H, W]; undefined: the video begins with the first rendered block. The frames before it, or, with
  /// given_frames, its first ones.
  at::Tensor initial_latents;
  std::shared_ptr<const NoiseSource> noise;
};

}  // namespace flashblock
