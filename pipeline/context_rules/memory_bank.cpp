// Source: MemFlow `pipeline/interactive_causal_inference.py` and `wan/modules/causal_model.py`.
#include <ATen/TensorOperators.h>
#include <ATen/ops/argmin.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "core/error.h"
#include "pipeline/context_rule.h"

namespace flashblock::context {
namespace {

class Bank final : public VideoContext {
 public:
  Bank(const Recipe& recipe, TransformerState& state)
      : block_frames_(recipe.frames_per_block),
        frames_(recipe.bank_frames),
        interval_(recipe.bank_interval),
        latest_(recipe.bank_latest_block) {
    state.before_commit([this](TransformerState& s, int64_t layer) { remember_candidate(s, layer); });
  }

  /// Before block b the candidate is the first frame of the last block below b whose number is a multiple of the
  /// interval, or of block b - 1. The first ones fill the bank, one place an interval; then a candidate replaces the
  /// frame that fits the prompt least.
  void begin_block(const FrameBlock& block, const RuledContext& context) override {
    const int64_t number = block.start_frame / block_frames_;
    if (number == 0) return;
    const int64_t slot = (number - 1) / interval_;
    for (size_t i = 0; i < candidates_.size(); ++i) {
      LayerState& layer = context.state.layer(static_cast<int64_t>(i));
      const KeyRange& candidate = candidates_[i];
      if (slot < frames_ && layer.kv.bank_count() == slot)
        layer.kv.add_to_bank(candidate);
      else if (slot < frames_)
        put(layer.kv.bank(), candidate, at::zeros({1}, candidate.keys.options().dtype(at::kLong)));
      else
        put(layer.kv.bank(), candidate, least_fitting(layer, context.state.split()));
    }
  }

  int64_t bytes() const override {
    int64_t bytes = 0;
    for (const KeyRange& candidate : candidates_)
      bytes += static_cast<int64_t>(candidate.keys.nbytes() + candidate.values.nbytes());
    return bytes;
  }

 private:
  void remember_candidate(TransformerState& state, int64_t layer) {
    if (!latest_ && state.next_frame() % (block_frames_ * interval_) != 0) return;
    candidates_.resize(std::max(candidates_.size(), static_cast<size_t>(layer + 1)));
    const KeyRange frame = state.layer(layer).kv.block_begin(1);
    candidates_[static_cast<size_t>(layer)] = {frame.keys.clone(), frame.values.clone()};
  }

  /// [B, bank tokens, N, D] as [B, frames, S, N, D].
  at::Tensor by_frame(const at::Tensor& bank) const { return bank.unflatten(1, {frames_or(bank), -1}); }
  int64_t frames_or(const at::Tensor& bank) const { return bank.size(1) / candidates_.front().tokens(); }

  /// The frame whose keys are least like those of the text: the mean of their products over text, heads and tokens.
  /// Shape: [1] int64, on the device, without a synchronization.
  at::Tensor least_fitting(const LayerState& layer, const TokenSplit& split) const {
    const at::Tensor text = layer.text.keys.to(at::kFloat).mean(1);  // [B, N, D]
    const at::Tensor own_text = text.narrow(1, split.first_head(), split.head_count());
    const at::Tensor bank = by_frame(layer.kv.bank().keys).to(at::kFloat).mean(2);  // [B, frames, N, D]
    const at::Tensor fits = (bank * own_text.unsqueeze(1)).sum(at::IntArrayRef{0, 2, 3});
    return at::argmin(split.is_whole() ? fits : split.group()->sum(fits)).view({1});
  }

  void put(const KeyRange& bank, const KeyRange& frame, const at::Tensor& place) const {
    by_frame(bank.keys).index_copy_(1, place, frame.keys.unsqueeze(1));
    by_frame(bank.values).index_copy_(1, place, frame.values.unsqueeze(1));
  }

  int64_t block_frames_, frames_, interval_;
  bool latest_;
  std::vector<KeyRange> candidates_;  // by layer
};

class MemoryBank final : public ContextRule {
 public:
  MemoryBank()
      : ContextRule({.name = "memory_bank",
                     .help = "a bank of earlier frames whose keys fit the prompt is attended to, too",
                     .keys = {"recipe.bank_frames", "recipe.bank_interval", "recipe.bank_latest_block"}}) {}

  void check(const Recipe& recipe, const std::string& where) const override {
    if (!recipe.independent_first_frame) return;
    throw ConfigError(where + ".context_rule: memory_bank needs blocks of one length, independent_first_frame is true");
  }

  int64_t bank_frames(const Recipe& recipe) const override { return recipe.bank_frames; }
  bool accumulates() const override { return true; }

  std::unique_ptr<VideoContext> begin(const Recipe& recipe, TransformerState& state,
                                      const FrameEncoder&) const override {
    return std::make_unique<Bank>(recipe, state);
  }
};

}  // namespace

const ContextRule& memory_bank() {
  static const MemoryBank rule;
  return rule;
}

}  // namespace flashblock::context
