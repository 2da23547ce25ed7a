// Logits to tokens and confidences.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace flashblock {

/// How tokens are drawn.
struct SamplingConfig {
  double temperature = 1;  ///< 0: the most probable token, with confidences at temperature 1
  int64_t top_k = 1;       ///< only the k most probable tokens; 0: all; 1: greedy
  double top_p = 1;        ///< only the most probable tokens, until those before sum up to more than p. Range: 0 to 1

  bool greedy() const { return temperature == 0 || top_k == 1; }
};

/// Throws: ConfigError that names the value, for one out of range.
void validate(const SamplingConfig& sampling);

/// The token of each row, on the CPU.
struct SampledTokens {
  std::vector<int64_t> tokens;
  std::vector<float> confidence;  ///< probability of the token after temperature, before top-k and top-p
  std::vector<float> entropy;     ///< of that distribution
};

/// Probabilities after temperature, then top-k, then top-p, each renormalized. Shape: logits [R, V], any float dtype;
/// returns [R, V] fp32. Source: JetAstra/SDAR generate.py.
at::Tensor filtered_probabilities(const at::Tensor& logits, const SamplingConfig& sampling);

/// A token for each row of `logits`, [R, V]: never `never`, whose probability counts all the same. `uniform` holds a
/// number from [0, 1) for each row; greedy sampling ignores it. Waits for the device once.
/// Confidences before filtering, unlike generate.py: after it, with top_k 1, all of them would be 1 and the order of
/// decoding arbitrary. Its evaluation code and its engines do the same.
SampledTokens sample_tokens(const at::Tensor& logits, const SamplingConfig& sampling, int64_t never,
                            const std::vector<double>& uniform);

/// A number from [0, 1) that depends on these alone.
double uniform_number(uint64_t seed, int64_t position, int64_t step);

}  // namespace flashblock
