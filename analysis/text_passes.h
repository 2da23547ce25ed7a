// The passes over the blocks of a text, one after the other, as decode_text makes them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>

#include "language/language_model.h"
#include "language/text_decoder.h"

namespace flashblock {

/// Makes the passes of one state; a finished block is stored before or with the first pass of the block after it.
class TextPasses {
 public:
  TextPasses(const LanguageModel& model, CleanPass clean_pass) : model_(model), clean_pass_(clean_pass) {}

  /// Hidden states of pass `step` over the block that comes next in `state`, always the same one. Shape: ids [B, L].
  at::Tensor hidden(LanguageState& state, const at::Tensor& ids, int64_t step) {
    if (step > 0 || !finished_.defined()) return model_.pass(state, ids, Pass::denoise(step));
    const at::Tensor finished = std::exchange(finished_, {});
    if (clean_pass_ == CleanPass::kFused) return model_.fused_pass(state, finished, ids);
    model_.clean_pass(state, finished);
    return model_.pass(state, ids, Pass::denoise(step));
  }

  /// The block is decoded: `ids`, [B, L]. The next pass is the first one over the block after it.
  void finish(const at::Tensor& ids) { finished_ = ids; }

 private:
  const LanguageModel& model_;
  CleanPass clean_pass_;
  at::Tensor finished_;  // [B, L], its keys and values still to be stored
};

}  // namespace flashblock
