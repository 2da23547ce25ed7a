#include "language/token_sampler.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <limits>
#include <string>

#include "core/check.h"
#include "core/error.h"

#ifdef FLASHBLOCK_CUDA
#include "attention/cuda_launch.h"
#include "language/kernels/greedy_tokens.h"
#endif

namespace flashblock {
namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

at::Tensor scaled(const at::Tensor& logits, const SamplingConfig& sampling) {
  const at::Tensor wide = logits.to(at::kFloat);
  return sampling.temperature == 0 || sampling.temperature == 1 ? wide : wide / sampling.temperature;
}

// Logits of tokens outside of top-k and top-p become minus infinity.
at::Tensor filtered(at::Tensor logits, const SamplingConfig& sampling) {
  if (sampling.top_k > 0 && sampling.top_k < logits.size(-1)) {
    const at::Tensor least = std::get<0>(at::topk(logits, sampling.top_k, -1)).narrow(-1, sampling.top_k - 1, 1);
    logits = logits.masked_fill(logits < least, kMinusInfinity);
  }
  if (sampling.top_p < 1) {
    const auto [sorted, order] = at::sort(logits, -1, /*descending=*/true);
    const at::Tensor probabilities = at::softmax(sorted, -1);
    const at::Tensor before = at::cumsum(probabilities, -1) - probabilities;
    const at::Tensor cut = (before > sampling.top_p).scatter(-1, order, before > sampling.top_p);
    logits = logits.masked_fill(cut, kMinusInfinity);
  }
  return logits;
}

// [3, rows] fp64 in host memory: token ids are exact in it.
at::Tensor results_by_operators(const at::Tensor& logits, const SamplingConfig& sampling, int64_t never,
                                const std::vector<double>& uniform) {
  const at::Tensor wide = scaled(logits, sampling);
  const at::Tensor log_probabilities = at::log_softmax(wide, -1), probabilities = log_probabilities.exp();
  at::Tensor allowed = wide.clone();
  if (never >= 0) allowed.select(-1, never).fill_(kMinusInfinity);
  at::Tensor tokens;
  if (sampling.greedy()) {
    tokens = allowed.argmax(-1, /*keepdim=*/true);
  } else {
    FB_CHECK(int64_t(uniform.size()) == logits.size(0), uniform.size(), " numbers for ", logits.size(0), " rows");
    const at::Tensor sums = at::cumsum(at::softmax(filtered(allowed, sampling), -1).to(at::kDouble), -1);
    const at::Tensor drawn = at::tensor(uniform, at::kDouble).to(logits.device()).unsqueeze(-1);
    // The first token whose sum exceeds the number; tokens without probability have the sum of the one before.
    tokens = at::searchsorted(sums, drawn * sums.narrow(-1, sums.size(-1) - 1, 1), false, /*right=*/true)
                 .clamp_max(logits.size(-1) - 1);
  }
  const at::Tensor entropy = (probabilities * log_probabilities.clamp_min(-1e4)).sum(-1).neg();
  return at::stack({tokens.squeeze(-1).to(at::kDouble), probabilities.gather(-1, tokens).squeeze(-1).to(at::kDouble),
                    entropy.to(at::kDouble)})
      .cpu();  // one read of all
}

#ifdef FLASHBLOCK_CUDA
bool kernel_takes(const at::Tensor& logits, const SamplingConfig& sampling) {
  return sampling.greedy() && logits.is_cuda() && logits.scalar_type() == at::kBFloat16 && logits.is_contiguous() &&
         logits.size(1) % 8 == 0 && logits.size(0) <= 65535;
}

at::Tensor greedy_by_kernel(const at::Tensor& logits, const SamplingConfig& sampling, int64_t never) {
  const at::Tensor partial = at::empty({logits.size(0), kGreedyPartialBytes}, logits.options().dtype(at::kByte));
  // Written over the bus by the kernel itself, which saves a copy behind it.
  const at::Tensor results = at::empty({3, logits.size(0)}, at::TensorOptions().dtype(at::kDouble).pinned_memory(true));
  launch(launch_greedy_tokens,
         GreedyTokens{.logits = logits.const_data_ptr(),
                      .partial = partial.data_ptr(),
                      .results = results.data_ptr<double>(),
                      .rows = logits.size(0),
                      .vocabulary = logits.size(1),
                      .never = never,
                      .temperature = sampling.temperature == 0 ? 1.0f : float(sampling.temperature)},
         logits, "greedy_tokens");
  c10::cuda::getCurrentCUDAStream(logits.device().index()).synchronize();
  return results;
}
#endif

at::Tensor sampled_results(const at::Tensor& logits, const SamplingConfig& sampling, int64_t never,
                           const std::vector<double>& uniform) {
#ifdef FLASHBLOCK_CUDA
  if (kernel_takes(logits, sampling)) return greedy_by_kernel(logits, sampling, never);
#endif
  return results_by_operators(logits, sampling, never, uniform);
}

}  // namespace

void validate(const SamplingConfig& sampling) {
  if (!(sampling.temperature >= 0 && sampling.temperature <= 100))
    throw ConfigError("decoding.temperature: must be from 0 to 100");
  if (sampling.top_k < 0) throw ConfigError("decoding.top_k: must be at least 0");
  if (!(sampling.top_p > 0 && sampling.top_p <= 1)) throw ConfigError("decoding.top_p: must be above 0 and at most 1");
}

at::Tensor filtered_probabilities(const at::Tensor& logits, const SamplingConfig& sampling) {
  return at::softmax(filtered(scaled(logits, sampling), sampling), -1);
}

SampledTokens sample_tokens(const at::Tensor& logits, const SamplingConfig& sampling, int64_t never,
                            const std::vector<double>& uniform) {
  FB_CHECK(logits.dim() == 2, "logits ", logits.sizes());
  const at::Tensor results = sampled_results(logits, sampling, never, uniform);
  SampledTokens sampled;
  const auto all = results.accessor<double, 2>();
  for (int64_t row = 0; row < logits.size(0); ++row) {
    sampled.tokens.push_back(static_cast<int64_t>(all[0][row]));
    sampled.confidence.push_back(static_cast<float>(all[1][row]));
    sampled.entropy.push_back(static_cast<float>(all[2][row]));
  }
  return sampled;
}

// Source: SplitMix64.
double uniform_number(uint64_t seed, int64_t position, int64_t step) {
  const auto mix = [](uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  };
  uint64_t state = mix(seed + 0x9E3779B97F4A7C15u);
  state = mix(state + static_cast<uint64_t>(position) * 0x9E3779B97F4A7C15u + 1);
  state = mix(state + static_cast<uint64_t>(step) * 0x9E3779B97F4A7C15u + 2);
  return static_cast<double>(state >> 11) / 9007199254740992.0;  // 2^53
}

}  // namespace flashblock
