// Recordings: all inputs of a video and its result in one safetensors file, to replay it or to compare it with another
// implementation.
//
// Tensors: `ids`, `mask` [1, L] int64; `prompt_embeds` [1, L, C]; `noise` [1, F, C, H, W]; `renoise.<block>.<step>`
// [1, F_block, C, H, W], mixed in after that denoising step; `initial_latent` and `latents` [1, F, C, H, W]; `video`
// [1, T, 3, H, W] float16 in [0, 1]. A prompt that takes effect at a later block has that block's number as suffix:
// `prompt_embeds.20`. `shots` [n] int64: the blocks that begin a shot. `negative_prompt_embeds` [1, L, C] where
// guidance is used.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/model_config.h"
#include "pipeline/frame_block.h"
#include "pipeline/frame_sink.h"
#include "pipeline/recipe.h"
#include "pipeline/session_inputs.h"

namespace flashblock {

class WeightStore;

/// Noise by frame block and draw, as in NoiseSource.
using NoiseDraws = std::map<std::pair<int64_t, int64_t>, at::Tensor>;

/// Records one video. Memory grows with the video: everything is kept until it is written.
class Recorder {
 public:
  /// A noise source that draws from `source` and records the draws.
  std::shared_ptr<const NoiseSource> record_noise(std::shared_ptr<const NoiseSource> source);

  /// Records a block. Requires: block.pixels is defined.
  void add(const RenderedBlock& block);

  /// Throws: MediaError if the file cannot be written.
  void write(const std::filesystem::path& file, const SessionInputs& inputs,
             const std::map<std::string, std::string>& metadata) const;

 private:
  std::shared_ptr<NoiseDraws> draws_ = std::make_shared<NoiseDraws>();
  std::vector<at::Tensor> latents_, video_;
};

/// The inputs in a recording; those that it lacks are computed as usual.
class Replay {
 public:
  /// Throws: ConfigError if the file cannot be read, has none of the inputs, or one with a wrong shape or dtype or with
  /// values that are not finite.
  explicit Replay(const std::filesystem::path& file);

  /// Ordered by first block; with ids and mask, an embedding, or all of them. Empty: not in the file.
  const std::vector<EncodedPrompt>& prompts() const { return prompts_; }
  /// Rising; empty: the video is one shot.
  const std::vector<int64_t>& shots() const { return shots_; }
  const at::Tensor& negative_embedding() const { return negative_embedding_; }  ///< [1, L, C] or undefined
  const at::Tensor& initial_latents() const { return initial_latents_; }        ///< [1, F, C, H, W] or undefined
  const at::Tensor& noise() const { return noise_; }                            ///< [1, F, C, H, W] or undefined

  /// Throws: ConfigError that names the tensor, what it has and what is wanted, unless all of them fit this video of
  /// this model.
  void check_fits(const VideoPlan& plan, const VideoGeometry& geometry, const TransformerConfig& model,
                  const Recipe& recipe) const;

  /// The recorded noise; `otherwise` draws kinds that the file lacks entirely (the noise, or the renoise).
  /// Drawing throws ConfigError if the file has that kind but not this draw, or in another shape.
  std::shared_ptr<const NoiseSource> noise_source(std::shared_ptr<const NoiseSource> otherwise) const;

 private:
  at::Tensor read(const WeightStore& store, const std::string& name, int64_t rank) const;
  void check_shape(const std::string& name, const at::Tensor& tensor, const std::vector<int64_t>& wanted) const;
  void check_text(const std::string& name, const at::Tensor& tensor, const TransformerConfig& model) const;
  void check_renoise(const VideoPlan& plan, const VideoGeometry& geometry, const TransformerConfig& model,
                     const Recipe& recipe) const;
  void read_prompts(const WeightStore& store);
  void read_renoise(const WeightStore& store);
  void read_shots(const WeightStore& store);

  std::filesystem::path file_;
  std::vector<EncodedPrompt> prompts_;
  std::vector<int64_t> shots_;
  at::Tensor negative_embedding_, initial_latents_, noise_;
  NoiseDraws renoise_;  ///< draws from 1 on
};

}  // namespace flashblock
