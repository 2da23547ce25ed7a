// Context rules: what frame blocks attend to besides window and sink, and how it is made. One file per rule in
// pipeline/context_rules.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/transformer_state.h"
#include "models/video_transformer.h"
#include "pipeline/frame_block.h"
#include "pipeline/recipe.h"

namespace flashblock {

/// What configuration, help and docs say of a rule.
struct ContextRuleText {
  std::string_view name;                    ///< value of the recipe's context_rule
  std::string_view help;                    ///< what it does, in one line
  std::vector<std::string_view> keys = {};  ///< configuration keys that it alone reads
};

/// One of the contexts of a video: guidance has a second one, of the negative prompt.
struct RuledContext {
  const VideoTransformer& transformer;
  TransformerState& state;
};

/// The last frame of a latent frame as it was decoded, encoded as an image. Waits for it. Shape: [1, 1, C, H, W].
using FrameEncoder = std::function<at::Tensor(int64_t latent_frame)>;

/// A rule at work in one context of one video. The defaults are those of window and sink alone.
class VideoContext {
 public:
  VideoContext() = default;
  virtual ~VideoContext() = default;
  VideoContext(const VideoContext&) = delete;
  VideoContext& operator=(const VideoContext&) = delete;

  /// Called before the first pass over a block, denoising or clean.
  virtual void begin_block(const FrameBlock&, const RuledContext&) {}
  /// Called before the first denoising pass over a block. Returns the position in time of its first frame.
  virtual int64_t prepare(const FrameBlock& block, const RuledContext&) { return block.start_frame; }
  /// Makes a finished block part of the context, by a clean pass at `timestep`. Shape: latents [1, F, C, H, W].
  virtual void add(const FrameBlock& block, const at::Tensor& latents, double timestep, const RuledContext& context);
  /// Memory beside the transformer's state.
  virtual int64_t bytes() const { return 0; }
};

/// Thread safety: const methods only.
class ContextRule {
 public:
  explicit ContextRule(ContextRuleText text) : text_(std::move(text)) {}
  virtual ~ContextRule() = default;
  ContextRule(const ContextRule&) = delete;
  ContextRule& operator=(const ContextRule&) = delete;

  const ContextRuleText& text() const { return text_; }
  bool reads(std::string_view key) const;  ///< whether it depends on this configuration key

  /// Throws: ConfigError for a recipe that the rule cannot work with. `where`: of the recipe, for messages.
  virtual void check(const Recipe&, const std::string& /*where*/) const {}
  /// Latent frames that are attended to besides the window.
  virtual int64_t bank_frames(const Recipe&) const { return 0; }
  /// What later blocks attend to depends on all earlier ones, in order: a change of the prompt does not recompute what
  /// is outside the window, and a resumed video runs every clean pass again.
  virtual bool accumulates() const { return false; }
  /// The context of each block is computed before it from latents and decoded frames: nothing is recomputed when the
  /// prompt changes, and a block waits until the one before is decoded.
  virtual bool encodes_frames() const { return false; }

  /// For a video with this recipe, before its first pass. `encode_frame`: only if encodes_frames.
  virtual std::unique_ptr<VideoContext> begin(const Recipe& recipe, TransformerState& state,
                                              const FrameEncoder& encode_frame) const;

 private:
  ContextRuleText text_;
};

/// All rules, in the order in which help and docs list them.
const std::vector<const ContextRule*>& context_rules();

/// The transformer state of a video of at most `max_frames` latent frames with this recipe.
TransformerStateOptions state_options(const Recipe& recipe, const VideoGeometry& geometry, int64_t max_frames,
                                      const AttentionConfig& attention);

}  // namespace flashblock
