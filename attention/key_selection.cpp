#include "attention/key_selection.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>

namespace flashblock {
namespace {

constexpr int64_t kSampledQueries = 64;

/// Softmax weight of each run, summed over the sampled queries: [B, N, runs] fp32.
at::Tensor relevance(const at::Tensor& q, const at::Tensor& keys, int64_t runs) {
  const int64_t step = (q.size(1) + kSampledQueries - 1) / kSampledQueries;
  const at::Tensor sample = q.slice(1, 0, q.size(1), step).transpose(1, 2);  // [B, N, samples, D]
  const at::Tensor scores = at::matmul(sample, keys.permute({0, 2, 3, 1})).to(at::kFloat);
  const at::Tensor weights = at::softmax(scores / std::sqrt(double(q.size(3))), -1);
  return weights.narrow(-1, 0, runs * kSelectionRun).unflatten(-1, {runs, kSelectionRun}).sum(at::IntArrayRef{2, 4});
}

/// The keys of `runs` [B, N, count], then the keys from `tail` on.
KeyRange gather(const KeyRange& past, const at::Tensor& runs, int64_t tail) {
  const int64_t heads = runs.size(1), count = runs.size(2) * kSelectionRun;
  const at::Tensor within = at::arange(kSelectionRun, runs.options());
  const at::Tensor token = (runs.unsqueeze(-1) * kSelectionRun + within).flatten(-2).transpose(1, 2);  // [B, count, N]
  const at::Tensor index = token.unsqueeze(-1).expand({runs.size(0), count, heads, past.keys.size(3)});
  const auto pick = [&](const at::Tensor& from) {
    const at::Tensor chosen = at::gather(from, 1, index);
    return tail < from.size(1) ? at::cat({chosen, from.narrow(1, tail, from.size(1) - tail)}, 1) : chosen;
  };
  return {pick(past.keys), pick(past.values)};
}

}  // namespace

KeySplit split_by_relevance(const at::Tensor& q, const KeyRange& past, double density) {
  const int64_t runs = past.tokens() / kSelectionRun;
  const int64_t chosen = std::min(runs, int64_t(std::ceil(density * double(runs))));
  const at::Tensor order =
      runs == 0 ? at::empty({q.size(0), q.size(2), 0}, q.options().dtype(at::kLong))
                : at::argsort(relevance(q, past.keys, runs), /*stable=*/true, /*dim=*/-1, /*descending=*/true);
  return {gather(past, order.narrow(-1, 0, chosen), runs * kSelectionRun),
          gather(past, order.narrow(-1, chosen, runs - chosen), past.tokens())};
}

}  // namespace flashblock
