#include "analysis/text_fidelity.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "analysis/text_passes.h"

namespace flashblock {
namespace {

at::Tensor ids_of(const std::vector<int64_t>& ids) { return at::tensor(ids, at::kLong).unsqueeze(0); }

/// Keeps the passes of a text, clean passes apart.
class KeptPasses : public TextObserver {
 public:
  void pass(const DecodedPass& pass) override {
    if (!pass.clean) passes.push_back(pass);
  }
  std::vector<DecodedPass> passes;
};

/// The places where `pass` is open, and those that it decodes.
struct PassPlaces {
  std::vector<int64_t> open, decoded;
};

// A place of the prompt that holds a mask token itself counts as open, for all policies alike.
PassPlaces places_of(const DecodedPass& pass, int64_t mask) {
  PassPlaces places;
  for (size_t i = 0; i < pass.ids.size(); ++i) {
    if (pass.ids[i] == mask) places.open.push_back(static_cast<int64_t>(i));
    if (pass.transfer[i]) places.decoded.push_back(static_cast<int64_t>(i));
  }
  return places;
}

/// One way to attend, on the passes of a text.
struct Replay {
  TextPasses passes;
  LanguageState state;
};

/// What a replay computes in one pass, at its open places.
struct Predicted {
  at::Tensor hidden;             // [P, width] fp32
  at::Tensor log_probabilities;  // [P, vocabulary] fp32
};

Predicted predict(const LanguageModel& model, Replay& replay, const DecodedPass& pass, int64_t step,
                  const PassPlaces& places) {
  const at::Tensor hidden = replay.passes.hidden(replay.state, ids_of(pass.ids), step);
  const at::Tensor rows = at::tensor(places.open, at::kLong).to(hidden.device());
  const at::Tensor open = hidden[0].index_select(0, rows);
  replay.state.count_decoded(places.decoded);
  return {open.to(at::kFloat), at::log_softmax(model.logits(replay.state, open).to(at::kFloat), -1)};
}

/// Sums of a policy's measures, over the passes of all texts.
struct PolicySums {
  double divergence = 0, square_error = 0;
  int64_t same = 0;
  std::vector<std::pair<double, int64_t>> blocks;  // of the n-th block: divergence, places

  void add(const Predicted& exact, const Predicted& found, size_t block) {
    const at::Tensor difference = exact.log_probabilities - found.log_probabilities;
    const at::Tensor results =
        at::stack({(exact.log_probabilities.exp() * difference).sum(at::kDouble),
                   (exact.log_probabilities.argmax(-1) == found.log_probabilities.argmax(-1)).sum(at::kDouble),
                   (found.hidden - exact.hidden).square().sum(at::kDouble) / exact.hidden.square().sum(at::kDouble)})
            .cpu();
    const double its = results[0].item<double>();
    divergence += its;
    same += static_cast<int64_t>(results[1].item<double>());
    square_error += results[2].item<double>();
    if (blocks.size() <= block) blocks.resize(block + 1);
    blocks[block].first += its;
    blocks[block].second += exact.hidden.size(0);
  }
};

// Rounding leaves sums of almost nothing on either side of zero.
double mean_divergence(double sum, int64_t places) { return std::max(0.0, sum / double(places)); }

int64_t equal_front(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  return std::ranges::mismatch(a, b).in1 - a.begin();
}

/// Measures policies against exact attention, text by text.
class FidelityRuns {
 public:
  FidelityRuns(const LanguageModel& model, const TextFidelityOptions& options) : model_(model), options_(options) {
    exact_.mode = AttentionConfig::Mode::kExact;
    AttentionConfig floor = text_attention();
    floor.refresh = "every_pass";
    policies_ = {{.name = "noise floor", .attention = floor}};
    policies_.insert(policies_.end(), options.policies.begin(), options.policies.end());
    block_ = options.decoding.block_size > 0 ? options.decoding.block_size : model.config().block_size;
    sums_.resize(policies_.size());
    for (const NamedAttention& policy : policies_) result_.policies.push_back({.name = policy.name});
    for (const auto& prompt : options.prompts) {
      for (const NamedAttention& policy : policies_)
        check_text(model.config(), prompt, options.decoding, policy.attention);
    }
  }

  /// False if it was stopped.
  bool add_text(const std::vector<int64_t>& prompt, const std::stop_token& stop) {
    KeptPasses kept;
    const DecodedText exact = decode_text(model_, prompt, options_.decoding, exact_, kept, stop);
    for (size_t i = 0; i < policies_.size(); ++i) {
      if (stop.stop_requested()) return false;
      TextObserver unseen;
      const DecodedText text = decode_text(model_, prompt, options_.decoding, policies_[i].attention, unseen, stop);
      result_.policies[i].equal.push_back(text.tokens == exact.tokens);
      result_.policies[i].equal_tokens.push_back(equal_front(text.tokens, exact.tokens));
    }
    result_.texts.push_back(exact.tokens);
    result_.passes += static_cast<int64_t>(kept.passes.size());
    return replay(prompt, exact.ids, kept.passes, stop);
  }

  TextFidelity result() {
    for (size_t i = 0; i < policies_.size(); ++i) {
      TextPolicyMeasures& measures = result_.policies[i];
      measures.divergence = mean_divergence(sums_[i].divergence, result_.places);
      measures.same_token = double(sums_[i].same) / double(result_.places);
      measures.hidden_error = std::sqrt(sums_[i].square_error / double(result_.passes));
      for (const auto& [sum, places] : sums_[i].blocks)
        measures.block_divergence.push_back(mean_divergence(sum, places));
    }
    return std::move(result_);
  }

 private:
  Replay begin(const std::vector<int64_t>& prompt, int64_t tokens, const AttentionConfig& attention) const {
    Replay replay{TextPasses(model_, options_.decoding.clean_pass),
                  model_.make_state({.max_tokens = tokens, .block_size = block_, .attention = attention})};
    const auto cached = static_cast<int64_t>(prompt.size()) / block_ * block_;
    if (cached > 0) model_.prefill(replay.state, ids_of({prompt.begin(), prompt.begin() + cached}));
    replay.state.clear_counters();
    return replay;
  }

  bool replay(const std::vector<int64_t>& prompt, const std::vector<int64_t>& ids,
              const std::vector<DecodedPass>& passes, const std::stop_token& stop) {
    const auto tokens = static_cast<int64_t>(ids.size());
    Replay exact = begin(prompt, tokens, exact_);
    std::vector<Replay> replays;
    replays.reserve(policies_.size());
    for (const NamedAttention& policy : policies_) replays.push_back(begin(prompt, tokens, policy.attention));
    int64_t step = 0;
    for (size_t i = 0; i < passes.size(); ++i, ++step) {
      if (stop.stop_requested()) return false;
      if (i > 0 && passes[i].block != passes[i - 1].block) {
        const auto first = ids.begin() + passes[i - 1].block * block_;
        exact.passes.finish(ids_of({first, first + block_}));
        for (Replay& one : replays) one.passes.finish(ids_of({first, first + block_}));
        step = 0;
      }
      const PassPlaces places = places_of(passes[i], model_.config().mask_token);
      const Predicted right = predict(model_, exact, passes[i], step, places);
      result_.places += static_cast<int64_t>(places.open.size());
      for (size_t k = 0; k < replays.size(); ++k)
        sums_[k].add(right, predict(model_, replays[k], passes[i], step, places),
                     static_cast<size_t>(passes[i].block - passes.front().block));
    }
    for (size_t k = 0; k < replays.size(); ++k) {
      const LanguageCounters work = replays[k].state.counters();
      result_.policies[k].external_computed += work.external_computed;
      result_.policies[k].external_reused += work.external_reused;
    }
    return true;
  }

  const LanguageModel& model_;
  const TextFidelityOptions& options_;
  AttentionConfig exact_ = text_attention();
  std::vector<NamedAttention> policies_;
  int64_t block_ = 0;
  std::vector<PolicySums> sums_;  // by policy
  TextFidelity result_;
};

}  // namespace

double TextPolicyMeasures::computed_share() const {
  return double(external_computed) / double(external_computed + external_reused);
}

int64_t TextPolicyMeasures::equal_texts() const { return std::ranges::count(equal, true); }

std::optional<TextFidelity> measure_text_fidelity(const LanguageModel& model, const TextFidelityOptions& options,
                                                  const std::function<void(size_t)>& begin_text,
                                                  const std::stop_token& stop) {
  const c10::InferenceMode inference;
  FidelityRuns runs(model, options);
  for (size_t i = 0; i < options.prompts.size(); ++i) {
    begin_text(i);
    if (!runs.add_text(options.prompts[i], stop)) return {};
  }
  return runs.result();
}

}  // namespace flashblock
