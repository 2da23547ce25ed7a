// Source: krea-ai/realtime-video `release_server.py`; Scope `krea_realtime_video/blocks/recompute_kv_cache.py` and
// `prepare_context_frames.py`.
#include <ATen/ops/cat.h>

#include "core/check.h"
#include "core/error.h"
#include "pipeline/context_rule.h"

namespace flashblock::context {
namespace {

/// Before each block but the first, the latest latent frames go through one pass at time 0, seeing each other, at
/// positions from 0 on; the block follows them. The oldest of them is not the latent: it is the last of its decoded
/// frames, encoded as an image.
class RecomputedContext final : public VideoContext {
 public:
  RecomputedContext(int64_t frames, FrameEncoder encode_frame)
      : frames_(frames), encode_frame_(std::move(encode_frame)) {}

  int64_t prepare(const FrameBlock& block, const RuledContext& context) override {
    if (block.start_frame == 0) return 0;
    FB_CHECK(latest_.defined() && latest_.size(1) == frames_);
    at::Tensor latents = latest_;
    if (block.start_frame > frames_)
      latents = at::cat(
          {encode_frame_(block.start_frame - frames_).to(latest_.options()), latest_.narrow(1, 1, frames_ - 1)}, 1);
    context.state.evict_all();
    context.transformer.forward(latents, 0, 0, Pass::clean(), context.state);
    return frames_;
  }

  void add(const FrameBlock&, const at::Tensor& latents, double, const RuledContext&) override { latest_ = latents; }

 private:
  int64_t frames_;
  FrameEncoder encode_frame_;
  at::Tensor latest_;  // [1, F, C, H, W] of the latest block
};

class Recomputed final : public ContextRule {
 public:
  Recomputed()
      : ContextRule({.name = "recomputed",
                     .help = "the latest block is the context, computed again before each block, its first frame from "
                             "the decoded video"}) {}

  void check(const Recipe& recipe, const std::string& where) const override {
    if (recipe.window_frames == 2 * recipe.frames_per_block && recipe.sink_frames == 0 &&
        !recipe.independent_first_frame && recipe.shot_offset_frames == 0)
      return;
    throw ConfigError(where + ".context_rule: recomputed makes one frame block the context; it needs window_frames " +
                      std::to_string(2 * recipe.frames_per_block) + " and sink_frames 0");
  }

  bool encodes_frames() const override { return true; }

  std::unique_ptr<VideoContext> begin(const Recipe& recipe, TransformerState&,
                                      const FrameEncoder& encode_frame) const override {
    return std::make_unique<RecomputedContext>(recipe.frames_per_block, encode_frame);
  }
};

}  // namespace

const ContextRule& recomputed() {
  static const Recomputed rule;
  return rule;
}

}  // namespace flashblock::context
