// Source: Reward-Forcing `wan/modules/causal_model.py`, compression_alpha.
#include <ATen/TensorOperators.h>

#include "core/error.h"
#include "pipeline/context_rule.h"

namespace flashblock::context {
namespace {

/// Numerics: the sink is kept in float32, and rounded for attention only: in bfloat16 most updates would round to
/// nothing, as they do in the published code.
class AveragedSink final : public VideoContext {
 public:
  AveragedSink(double decay, TransformerState& state) : decay_(decay) {
    state.before_commit([this](TransformerState& s, int64_t layer) { update(s, layer); });
  }

 private:
  void update(TransformerState& state, int64_t layer) const {
    const KvCache& kv = state.layer(layer).kv;
    const int64_t sink_frames = state.options().sink_frames;
    if (kv.past_frames() < sink_frames) return;
    const KeyRange leaving = kv.leaving(), sink = state.original_sink(layer);
    if (leaving.empty()) return state.replace_sink(layer, sink.keys, sink.values);
    // Frame by frame: both are as many. The keys that leave are rotated as at the sink's positions, which begin at 0.
    const int64_t position = state.next_frame() - (kv.past_frames() - sink_frames);
    const at::Tensor keys = state.moved(leaving.keys.to(at::kFloat), -position);
    state.replace_sink(layer, sink.keys * decay_ + keys * (1 - decay_),
                       sink.values * decay_ + leaving.values.to(at::kFloat) * (1 - decay_));
  }

  double decay_;
};

class EmaSink final : public ContextRule {
 public:
  EmaSink()
      : ContextRule({.name = "ema_sink",
                     .help = "keys and values that leave the window are averaged into the sink",
                     .keys = {"recipe.sink_decay"}}) {}

  void check(const Recipe& recipe, const std::string& where) const override {
    const int64_t block = recipe.frames_per_block;
    const bool whole_blocks = recipe.window_frames > 0 && recipe.window_frames % block == 0;
    if (recipe.sink_frames == block && whole_blocks && recipe.window_frames >= 3 * block &&
        !recipe.independent_first_frame)
      return;
    throw ConfigError(where +
                      ".context_rule: ema_sink averages a whole frame block into the sink; it needs sink_frames " +
                      std::to_string(block) + ", as many as frames_per_block, and a window of whole blocks, at least " +
                      std::to_string(3 * block));
  }

  bool accumulates() const override { return true; }

  std::unique_ptr<VideoContext> begin(const Recipe& recipe, TransformerState& state,
                                      const FrameEncoder&) const override {
    return std::make_unique<AveragedSink>(recipe.sink_decay, state);
  }
};

}  // namespace

const ContextRule& ema_sink() {
  static const EmaSink rule;
  return rule;
}

}  // namespace flashblock::context
