#include "models/token_split.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/error.h"
#include "models/tensor_copies.h"

namespace flashblock {

TokenSplit::TokenSplit(std::shared_ptr<const ProcessGroup> group, int64_t tokens_per_frame, int64_t heads)
    : group_(std::move(group)), tokens_per_frame_(tokens_per_frame), heads_(heads) {
  check(processes(), tokens_per_frame, heads);
}

void TokenSplit::check(int64_t processes, int64_t tokens_per_frame, int64_t heads) {
  const int64_t most = std::min(heads, tokens_per_frame);
  if (processes <= most) return;
  throw ConfigError("device: " + std::to_string(processes) + " processes for one video are too many: the model has " +
                        std::to_string(heads) + " attention heads and a latent frame " +
                        std::to_string(tokens_per_frame) + " tokens; at most " + std::to_string(most),
                    {.key = "device"});
}

TokenSplit::Part TokenSplit::part(int64_t all, int64_t of, int64_t parts) {
  const int64_t begin = all * of / parts;
  return {begin, all * (of + 1) / parts - begin};
}

at::Tensor TokenSplit::tokens_of(int64_t rank, const at::Tensor& all) const {
  const Part tokens = tokens_of(rank);
  FB_CHECK(all.size(1) % tokens_per_frame_ == 0, all.size(1), " tokens of frames of ", tokens_per_frame_);
  return all.unflatten(1, {-1, tokens_per_frame_}).narrow(2, tokens.begin, tokens.count);
}

at::Tensor TokenSplit::by_frame(const at::Tensor& own) const { return own.unflatten(1, {-1, tokens_of(rank()).count}); }

at::Tensor TokenSplit::own_tokens(const at::Tensor& all) const {
  return is_whole() ? all : tokens_of(rank(), all).flatten(1, 2).contiguous();
}

Rotation TokenSplit::own_tokens(const Rotation& all) const {
  if (is_whole()) return all;
  return {own_tokens(all.cosine.unsqueeze(0)).squeeze(0), own_tokens(all.sine.unsqueeze(0)).squeeze(0)};
}

void TokenSplit::exchange(const std::vector<std::vector<Move>>& moves) const {
  std::vector<TensorCopy> out, in;
  std::vector<Transfer> sends, receives;
  for (int64_t process = 0; process < processes(); ++process) {
    const std::vector<Move>& its = moves[static_cast<size_t>(process)];
    if (process == rank()) {
      for (const Move& move : its) out.push_back({move.place, move.sent});
      continue;
    }
    const auto sizes = [&](const at::Tensor& one) {
      std::vector<int64_t> all = one.sizes().vec();
      all.insert(all.begin(), std::ssize(its));
      return all;
    };
    const at::Tensor &sent = its.front().sent, &place = its.front().place;
    sends.push_back({process, group_->room_to(process, sizes(sent), sent.options())});
    receives.push_back({process, group_->room_from(process, sizes(place), place.options())});
    for (size_t i = 0; i < its.size(); ++i) {
      const auto index = static_cast<int64_t>(i);
      out.push_back({sends.back().tensor.select(0, index), its[i].sent});
      in.push_back({its[i].place, receives.back().tensor.select(0, index)});
    }
  }
  copy_tensors(out);
  group_->exchange(sends, receives);
  copy_tensors(in);
}

at::Tensor TokenSplit::all_tokens(const at::Tensor& own) const {
  if (is_whole()) return own;
  const at::Tensor sent = by_frame(own);
  const at::Tensor all = at::empty({own.size(0), sent.size(1) * tokens_per_frame_, own.size(2)}, own.options());
  std::vector<std::vector<Move>> moves;
  for (int64_t process = 0; process < processes(); ++process) moves.push_back({{sent, tokens_of(process, all)}});
  exchange(moves);
  return all;
}

at::Tensor TokenSplit::empty_tokens(const at::Tensor& heads) const {
  const int64_t frames = heads.size(1) / tokens_per_frame_;
  return at::empty({heads.size(0), frames * tokens_of(rank()).count, heads_, heads.size(3)}, heads.options());
}

void TokenSplit::tokens_to_heads(at::ArrayRef<at::Tensor> tokens, at::ArrayRef<at::Tensor> heads) const {
  FB_CHECK(tokens.size() == heads.size());
  std::vector<std::vector<Move>> moves(static_cast<size_t>(processes()));
  for (int64_t process = 0; process < processes(); ++process) {
    const Part its_heads = heads_of(process);
    for (size_t i = 0; i < tokens.size(); ++i)
      moves[static_cast<size_t>(process)].push_back(
          {by_frame(tokens[i]).narrow(3, its_heads.begin, its_heads.count), tokens_of(process, heads[i])});
  }
  exchange(moves);
}

at::Tensor TokenSplit::heads_to_tokens(const at::Tensor& heads) const {
  if (is_whole()) return heads;
  const at::Tensor tokens = empty_tokens(heads);
  std::vector<std::vector<Move>> moves;
  for (int64_t process = 0; process < processes(); ++process) {
    const Part its_heads = heads_of(process);
    moves.push_back({{tokens_of(process, heads), by_frame(tokens).narrow(3, its_heads.begin, its_heads.count)}});
  }
  exchange(moves);
  return tokens;
}

}  // namespace flashblock
