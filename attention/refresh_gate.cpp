#include "attention/refresh_gate.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>

#include "core/error.h"

namespace flashblock {

at::Tensor RefreshGate::heads_of(int64_t layer, int64_t pass) const {
  const auto& passes = computes.at(static_cast<size_t>(layer));
  if (pass >= static_cast<int64_t>(passes.size())) return at::arange(heads, at::kLong);
  std::vector<int64_t> chosen;
  const std::vector<bool>& row = passes[static_cast<size_t>(pass)];
  for (size_t head = 0; head < row.size(); ++head)
    if (row[head]) chosen.push_back(static_cast<int64_t>(head));
  return at::tensor(chosen, at::kLong);
}

void RefreshGate::check(int64_t layers_wanted, int64_t heads_wanted, int64_t steps_wanted) const {
  const auto layers = static_cast<int64_t>(computes.size());
  const auto with = [](int64_t count, const char* what) { return std::to_string(count) + " " + what; };
  const std::string again = "; calibrate one with flashblock analyze redundancy --gate FILE";
  if (layers != layers_wanted || heads != heads_wanted) {
    throw ConfigError("attention.gate: " + name + " is for " + with(layers, "layers of ") + with(heads, "heads") +
                      ", this model has " + with(layers_wanted, "layers of ") + with(heads_wanted, "heads") + again);
  }
  if (steps != steps_wanted) {
    throw ConfigError("attention.gate: " + name + " is for " + with(steps, "denoising steps") + ", this recipe has " +
                      std::to_string(steps_wanted) + again);
  }
}

}  // namespace flashblock
