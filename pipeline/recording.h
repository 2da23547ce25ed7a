// Videos on record: every input of a video and its result in one safetensors file, to be rendered again or held against
// another implementation.
//
// Tensors: `ids`, `mask` [1, L] int64; `prompt_embeds` [1, L, C]; `noise` [1, F, C, H, W]; `renoise.<block>.<step>`
// [1, F_block, C, H, W], mixed in after that denoising step; `initial_latent` and `latents` [1, F, C, H, W]; `video`
// [1, T, 3, H, W] float16 in [0, 1]. A prompt that takes effect at a later block has that block's number behind its
// names: `prompt_embeds.20`. `negative_prompt_embeds` [1, L, C] where guidance is used.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/frame_sink.h"
#include "pipeline/session_inputs.h"

namespace flashblock {

class WeightStore;

/// Noise by frame block and draw, as in NoiseSource.
using NoiseDraws = std::map<std::pair<int64_t, int64_t>, at::Tensor>;

/// Writes down one video. Its memory grows with the video: all of it is kept until it is written.
class Recorder {
 public:
  /// The noise source to render with: draws from `source`, and takes down what it draws.
  std::shared_ptr<const NoiseSource> listen_to(std::shared_ptr<const NoiseSource> source);

  /// Takes down a block; it must have its pixels.
  void add(const RenderedBlock& block);

  /// Throws: MediaError if the file cannot be written.
  void write(const std::filesystem::path& file, const SessionInputs& inputs,
             const std::map<std::string, std::string>& metadata) const;

 private:
  std::shared_ptr<NoiseDraws> draws_ = std::make_shared<NoiseDraws>();
  std::vector<at::Tensor> latents_, video_;
};

/// The inputs that a record holds; what it does not hold is the program's own to make.
class Replay {
 public:
  /// Throws: ConfigError if the file cannot be read, holds none of the inputs, or one of the wrong shape or dtype, or
  /// with values that are not finite.
  explicit Replay(const std::filesystem::path& file);

  /// By first block; with ids and mask, an embedding, or all of them. Empty: the prompt is not in the file.
  const std::vector<EncodedPrompt>& prompts() const { return prompts_; }
  const at::Tensor& negative_embedding() const { return negative_embedding_; }  ///< [1, L, C] or undefined
  const at::Tensor& initial_latents() const { return initial_latents_; }        ///< [1, F, C, H, W] or undefined
  const at::Tensor& noise() const { return noise_; }                            ///< [1, F, C, H, W] or undefined

  /// The recorded noise; `otherwise` draws what the file does not hold at all (the noise, or the renoise).
  /// Its draws throw ConfigError where the file holds some but not the one wanted, or another shape.
  std::shared_ptr<const NoiseSource> noise_source(std::shared_ptr<const NoiseSource> otherwise) const;

 private:
  at::Tensor read(const WeightStore& store, const std::string& name, int64_t rank) const;
  void read_prompts(const WeightStore& store);
  void read_renoise(const WeightStore& store);

  std::filesystem::path file_;
  std::vector<EncodedPrompt> prompts_;
  at::Tensor negative_embedding_, initial_latents_, noise_;
  NoiseDraws renoise_;  ///< draws from 1 on
};

}  // namespace flashblock
