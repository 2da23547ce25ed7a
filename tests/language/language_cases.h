// Language models with formula weights, in the geometries of the parity data.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "attention/attention_observer.h"
#include "language/language_model.h"
#include "tests/support/formula_checkpoint.h"
#include "weights/weight_store.h"

namespace flashblock::testing {

/// The model of a parity file with `config` and `head_scale` among its metadata, their keys with `suffix` (".a").
std::shared_ptr<const LanguageModel> language_parity_model(const WeightStore& data, at::ScalarType dtype,
                                                           const std::string& suffix = "", at::Device device = at::kCPU,
                                                           LayerPlacement placement = LayerPlacement::kResident);

/// A model of two small layers with formula weights, of block size 4.
std::shared_ptr<const LanguageModel> small_language_model(at::Device device = at::kCPU);

/// Tokens as [1, L] int64.
at::Tensor ids_of(const std::vector<int64_t>& tokens);
/// `count` tokens below `vocabulary`, the same for the same seed: [1, count].
at::Tensor some_ids(int64_t count, int64_t vocabulary, int64_t seed);

/// Keeps the two sides of attention of the layers of the last pass.
class KeptStates : public AttentionObserver {
 public:
  struct Sides {
    AttentionState external, internal;
  };
  void observe(const AttentionObservation& observation) override;
  std::map<int64_t, Sides> layers;
};

}  // namespace flashblock::testing
