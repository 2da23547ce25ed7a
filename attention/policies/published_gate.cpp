#include "attention/policies/published_gate.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>

#include "attention/external_attention.h"
#include "core/error.h"

namespace flashblock {
namespace {

std::string counted(int64_t count, const char* what) { return std::to_string(count) + " " + what; }

class PublishedGate final : public RefreshPolicy {
 public:
  PublishedGate()
      : RefreshPolicy({.name = "published_gate",
                       .help = "the first pass; then the heads that the file `attention.gate` lists for the layer and "
                               "the pass",
                       .cost = "as calibrated",
                       .keys = {"attention.gate"}}) {}

  bool refreshes(const AttentionConfig&, const Pass& pass, int64_t) const override { return pass.is_first(); }
  bool decides_by_head() const override { return true; }

  HeadSelection select_heads(const ExternalPass& pass, const CachedExternal&, const AttentionState&) const override {
    const RefreshGate& gate = *pass.config.gate;
    const bool clean = pass.pass.kind == Pass::Kind::kClean;
    const at::Tensor heads = gate.heads_of(pass.layer, clean ? gate.steps : pass.pass.step_index) - pass.share.first;
    return HeadSelection::listed(heads.masked_select((heads >= 0).logical_and(heads < pass.q.size(2))));
  }

  void validate(const AttentionConfig& config) const override {
    if (config.mode == AttentionConfig::Mode::kFlashblock && &*config.refresh == this && !config.gate)
      throw ConfigError("attention.refresh: published_gate needs attention.gate, a file calibrated for the model");
  }

  void check_sizes(const AttentionConfig& config, const CalibratedSizes& sizes) const override {
    config.gate->check(sizes);
  }
};

}  // namespace

at::Tensor RefreshGate::heads_of(int64_t layer, int64_t pass) const {
  const auto& passes = computes.at(static_cast<size_t>(layer));
  if (pass >= static_cast<int64_t>(passes.size())) return at::arange(heads, at::kLong);
  std::vector<int64_t> computing;
  const std::vector<bool>& row = passes[static_cast<size_t>(pass)];
  for (size_t head = 0; head < row.size(); ++head)
    if (row[head]) computing.push_back(static_cast<int64_t>(head));
  return at::tensor(computing, at::kLong);
}

void RefreshGate::check(const CalibratedSizes& wanted) const {
  const auto layers = static_cast<int64_t>(computes.size());
  if (layers != wanted.layers || heads != wanted.heads) {
    throw ConfigError("attention.gate: " + name + " is for " + counted(layers, "layers of ") + counted(heads, "heads") +
                      ", this model has " + counted(wanted.layers, "layers of ") + counted(wanted.heads, "heads") +
                      "; calibrate a gate for this model");
  }
  if (steps != wanted.steps) {
    throw ConfigError("attention.gate: " + name + " is for " + counted(steps, "denoising steps") +
                      ", this recipe has " + std::to_string(wanted.steps) + "; calibrate a gate for this recipe");
  }
}

}  // namespace flashblock

namespace flashblock::policies {

const RefreshPolicy& published_gate() {
  static const PublishedGate policy;
  return policy;
}

}  // namespace flashblock::policies
