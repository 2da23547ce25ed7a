// A recorded video of the published implementation, with its model in formula weights.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "core/profile.h"
#include "models/model_config.h"
#include "pipeline/recording.h"
#include "pipeline/render_session.h"
#include "tests/support/formula_checkpoint.h"
#include "tests/support/test_data.h"

namespace flashblock::testing {

/// Keeps the blocks that a session writes.
class KeepingSink : public FrameSink {
 public:
  void write(const RenderedBlock& block) override { blocks.push_back(block); }
  at::Tensor latents() const;  ///< [1, F, C, H, W]
  at::Tensor pixels() const;   ///< [T, 3, H, W]
  at::Tensor rgb() const;      ///< [T, H, W, 3]
  std::vector<RenderedBlock> blocks;
};

/// One file of the parity data that records a whole video.
class RecordedVideo {
 public:
  explicit RecordedVideo(const std::string& name, at::Device device = at::kCPU);

  /// Renders the recorded inputs, or `other_inputs`.
  RenderCounts render(FrameSink& sink) { return render(sink, inputs); }
  RenderCounts render(FrameSink& sink, const SessionInputs& other_inputs, const std::stop_token& stop = {},
                      const FinishedPart& finished = {});

  at::Tensor expected(const std::string& tensor) const { return data->tensor(tensor); }
  /// Replaces the transformer or decoder. Throws: WeightsError, ConfigError.
  void use_transformer(const WeightStore& weights);
  void use_decoder(const WeightStore& weights);
  void use_decoder(std::shared_ptr<LatentDecoder> decoder) { decoder_ = std::move(decoder); }
  /// The embedding of another prompt, in formula numbers.
  at::Tensor other_prompt() const;

  /// Sizes and recipe of the published implementation's run.
  const nlohmann::json& config() const { return config_; }
  const VideoTransformer& transformer() const { return *transformer_; }
  const std::shared_ptr<const VideoTransformer>& shared_transformer() const { return transformer_; }

  std::shared_ptr<const WeightStore> data;
  SessionOptions options;
  VideoPlan plan;
  SessionInputs inputs;
  std::vector<LivePrompt> live_prompts;  ///< of the latest render
  Profile profile;

 private:
  nlohmann::json config_;
  at::Device device_;
  std::shared_ptr<const VideoTransformer> transformer_;
  std::shared_ptr<LatentDecoder> decoder_;
};

/// Another prompt from the second block on, and half the first one from the third on.
void change_prompts(RecordedVideo& video);
/// Guidance of 3 with a negative prompt.
void guide(RecordedVideo& video);

}  // namespace flashblock::testing
