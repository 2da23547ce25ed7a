#include "language/text_decoder.h"

#include <ATen/Functions.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "attention/refresh_policy.h"
#include "core/check.h"
#include "core/error.h"
#include "language/language_layers.h"

namespace flashblock {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

at::Tensor ids_of(const std::vector<int64_t>& ids) { return at::tensor(ids, at::kLong).unsqueeze(0); }

/// One decoding, block after block.
class TextRun {
 public:
  TextRun(const LanguageModel& model, const std::vector<int64_t>& prompt, const DecodingConfig& decoding,
          const AttentionConfig& attention, TextObserver& observer)
      : model_(model),
        config_(model.config()),
        decoding_(decoding),
        observer_(observer),
        prompt_length_(length(prompt)) {
    block_ = decoding.block_size > 0 ? decoding.block_size : config_.block_size;
    steps_ = decoding.steps > 0 ? decoding.steps : block_;
    blocks_ = (prompt_length_ + decoding.max_tokens + block_ - 1) / block_;
    ids_ = prompt;
    ids_.resize(static_cast<size_t>(blocks_ * block_), config_.mask_token);
    known_.assign(ids_.size(), false);
    std::fill_n(known_.begin(), prompt_length_, true);
    state_.emplace(model.make_state({.max_tokens = blocks_ * block_,
                                     .block_size = block_,
                                     .attention = attention,
                                     .reuse_from = decoding.reuse_from}));
  }

  DecodedText run(const std::stop_token& stop) {
    DecodedText text;
    Clock::time_point start = Clock::now();
    const int64_t first = prompt_length_ / block_;
    if (first > 0) model_.prefill(*state_, ids_of({ids_.begin(), ids_.begin() + first * block_}));
    synchronize();
    state_->clear_counters();
    text.prefill_seconds = seconds_since(start);
    start = Clock::now();
    int64_t block = first;
    for (bool ended = false; block < blocks_ && !ended; ++block) {
      if (!decode_block(block, stop)) {
        text.end = TextEnd::kStopped;
        break;
      }
      ended = finish_block(block, text);
      // Nothing follows the last block.
      if (!ended && block + 1 < blocks_ && decoding_.clean_pass == CleanPass::kSeparate) clean_pass(block);
    }
    text.seconds = seconds_since(start);
    text.counters = state_->counters();
    ids_.resize(static_cast<size_t>(block * block_));
    text.ids = std::move(ids_);
    return text;
  }

 private:
  static int64_t length(const std::vector<int64_t>& ids) { return static_cast<int64_t>(ids.size()); }

  int64_t& id(int64_t block, int64_t place) { return ids_[static_cast<size_t>(block * block_ + place)]; }
  std::vector<int64_t> block_ids(int64_t block) const {
    const auto begin = ids_.begin() + block * block_;
    return {begin, begin + block_};
  }
  std::vector<int64_t> open_places(int64_t block) const {
    std::vector<int64_t> places;
    for (int64_t place = 0; place < block_; ++place)
      if (!known_[static_cast<size_t>(block * block_ + place)]) places.push_back(place);
    return places;
  }

  /// False if it was stopped.
  bool decode_block(int64_t block, const std::stop_token& stop) {
    std::vector<int64_t> open;
    for (int64_t step = 0; !(open = open_places(block)).empty(); ++step) {
      if (stop.stop_requested()) return false;
      DecodedPass pass{.block = block, .ids = block_ids(block)};
      const at::Tensor hidden = hidden_states(block, step, pass);
      choose(model_.logits(*state_, select_rows(hidden[0], open)), open, step, pass);
      observer_.pass(pass);
    }
    return true;
  }

  /// Of the pass over the block; the first pass stores the block before it, where that is still to be done.
  at::Tensor hidden_states(int64_t block, int64_t step, DecodedPass& pass) {
    at::Tensor hidden;
    const bool fused = step == 0 && state_->tokens() < block * block_;
    if (fused) {
      hidden = model_.fused_pass(*state_, ids_of(block_ids(block - 1)), ids_of(pass.ids));
      report_clean_pass(block - 1);
      pass.external_computed.assign(static_cast<size_t>(block_), true);
    } else {
      hidden = model_.pass(*state_, ids_of(pass.ids), Pass::denoise(step));
      pass.external_computed = state_->computed_places();
    }
    return hidden;
  }

  void choose(const at::Tensor& logits, const std::vector<int64_t>& open, int64_t step, DecodedPass& pass) {
    std::vector<double> uniform;
    uniform.reserve(open.size());
    for (const int64_t place : open)
      uniform.push_back(uniform_number(decoding_.seed, pass.block * block_ + place, step));
    const SampledTokens sampled = sample_tokens(logits, decoding_.sampling, config_.mask_token, uniform);
    std::vector<OpenPlace> places;
    pass.argmax = pass.ids;
    pass.confidence.assign(static_cast<size_t>(block_), 0);
    pass.transfer.assign(static_cast<size_t>(block_), false);
    for (size_t i = 0; i < open.size(); ++i) {
      places.push_back({open[i], sampled.confidence[i], sampled.entropy[i]});
      pass.argmax[static_cast<size_t>(open[i])] = sampled.tokens[i];
      pass.confidence[static_cast<size_t>(open[i])] = sampled.confidence[i];
    }
    const auto chosen = places_to_decode(decoding_.remasking, places, wanted_places(block_, steps_, step));
    for (const int64_t place : chosen) {
      pass.transfer[static_cast<size_t>(place)] = true;
      id(pass.block, place) = pass.argmax[static_cast<size_t>(place)];
      known_[static_cast<size_t>(pass.block * block_ + place)] = true;
    }
    state_->count_decoded(chosen);
  }

  void clean_pass(int64_t block) {
    model_.clean_pass(*state_, ids_of(block_ids(block)));
    report_clean_pass(block);
  }

  void report_clean_pass(int64_t block) {
    observer_.pass({.block = block,
                    .ids = block_ids(block),
                    .argmax = block_ids(block),
                    .confidence = std::vector<float>(static_cast<size_t>(block_), 0),
                    .transfer = std::vector<bool>(static_cast<size_t>(block_), false),
                    .clean = true,
                    .external_computed = state_->computed_places()});
  }

  /// Adds the block's tokens to the text. True if it holds an end token.
  bool finish_block(int64_t block, DecodedText& text) {
    std::vector<int64_t> tokens;
    bool ended = false;
    for (int64_t place = 0; place < block_ && !ended; ++place) {
      const int64_t position = block * block_ + place, token = id(block, place);
      if (position < prompt_length_) continue;
      if (position >= prompt_length_ + decoding_.max_tokens) break;
      ended = decoding_.stop_at_end && std::ranges::find(config_.end_tokens, token) != config_.end_tokens.end();
      if (!ended) tokens.push_back(token);
    }
    if (ended) text.end = TextEnd::kEndToken;
    text.tokens.insert(text.tokens.end(), tokens.begin(), tokens.end());
    observer_.decoded(tokens);
    return ended;
  }

  // Reads one number, so that what was queued before is done.
  void synchronize() {
    if (state_->tokens() > 0) state_->committed(config_.layers - 1).values[0][0][0][0].item();
  }

  const LanguageModel& model_;
  const LanguageConfig& config_;
  const DecodingConfig& decoding_;
  TextObserver& observer_;
  int64_t prompt_length_;
  int64_t block_ = 0, steps_ = 0, blocks_ = 0;
  std::vector<int64_t> ids_;  // whole blocks
  std::vector<bool> known_;   // places that are decoded or of the prompt, which may hold a mask token itself
  std::optional<LanguageState> state_;
};

void check_prompt(const LanguageConfig& config, const std::vector<int64_t>& prompt, const DecodingConfig& decoding) {
  if (prompt.empty()) throw ConfigError("the prompt has no tokens");
  for (const int64_t id : prompt)
    if (id < 0 || id >= config.vocabulary)
      throw ConfigError("the prompt has the token " + std::to_string(id) + ", the model has " +
                        std::to_string(config.vocabulary) + " tokens");
  const int64_t length = static_cast<int64_t>(prompt.size()) + decoding.max_tokens;
  if (length > config.positions)
    throw ConfigError("prompt and text have up to " + std::to_string(length) + " tokens (prompt " +
                      std::to_string(prompt.size()) + ", decoding.max_tokens " + std::to_string(decoding.max_tokens) +
                      "), the model was trained for " + std::to_string(config.positions));
}

}  // namespace

void validate(const DecodingConfig& decoding) {
  const auto want = [](bool good, const char* message) {
    if (!good) throw ConfigError(message);
  };
  want(decoding.block_size >= 0 && decoding.block_size <= 1024, "decoding.block_size: must be from 1 to 1024");
  want(decoding.steps >= 0, "decoding.steps: must be at least 1");
  want(decoding.max_tokens >= 1, "decoding.max_tokens: must be at least 1");
  want(decoding.remasking.threshold >= 0 && decoding.remasking.threshold <= 1,
       "decoding.threshold: must be from 0 to 1");
  want(decoding.remasking.entropy_bound >= 0, "decoding.entropy_bound: must be at least 0");
  want(decoding.reuse_from >= 0, "attention.reuse_from: must be at least 0");
  validate(decoding.sampling);
}

void check_text(const LanguageConfig& config, const std::vector<int64_t>& prompt, const DecodingConfig& decoding,
                const AttentionConfig& attention) {
  validate(decoding);
  validate(attention);
  check_prompt(config, prompt, decoding);
  if (attention.mode == AttentionConfig::Mode::kExact) return;
  const int64_t block = decoding.block_size > 0 ? decoding.block_size : config.block_size;
  attention.refresh->check_sizes(
      attention,
      {.layers = config.layers, .heads = config.kv_heads, .steps = decoding.steps > 0 ? decoding.steps : block});
}

DecodedText decode_text(const LanguageModel& model, const std::vector<int64_t>& prompt, const DecodingConfig& decoding,
                        const AttentionConfig& attention, TextObserver& observer, const std::stop_token& stop) {
  check_text(model.config(), prompt, decoding, attention);
  const c10::InferenceMode inference;
  return TextRun(model, prompt, decoding, attention, observer).run(stop);
}

}  // namespace flashblock
