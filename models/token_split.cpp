#include "models/token_split.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/error.h"

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

at::Tensor TokenSplit::own_tokens(const at::Tensor& all) const {
  return is_whole() ? all : tokens_of(rank(), all).flatten(1, 2).contiguous();
}

Rotation TokenSplit::own_tokens(const Rotation& all) const {
  if (is_whole()) return all;
  return {own_tokens(all.cosine.unsqueeze(0)).squeeze(0), own_tokens(all.sine.unsqueeze(0)).squeeze(0)};
}

at::Tensor TokenSplit::all_tokens(const at::Tensor& own) const {
  if (is_whole()) return own;
  const int64_t frames = own.size(1) / tokens_of(rank()).count;
  const at::Tensor all = at::empty({own.size(0), frames * tokens_per_frame_, own.size(2)}, own.options());
  std::vector<Transfer> sends, receives;
  for (int64_t process = 0; process < processes(); ++process) {
    const int64_t tokens = frames * tokens_of(process).count;
    sends.push_back({process, own.contiguous()});
    receives.push_back({process, at::empty({own.size(0), tokens, own.size(2)}, own.options())});
  }
  group_->exchange(sends, receives);
  for (const Transfer& received : receives) {
    at::Tensor place = tokens_of(received.rank, all);
    place.copy_(received.tensor.view(place.sizes()));
  }
  return all;
}

at::Tensor TokenSplit::empty_tokens(const at::Tensor& heads) const {
  const int64_t frames = heads.size(1) / tokens_per_frame_;
  return at::empty({heads.size(0), frames * tokens_of(rank()).count, heads_, heads.size(3)}, heads.options());
}

void TokenSplit::tokens_to_heads(at::ArrayRef<at::Tensor> tokens, at::ArrayRef<at::Tensor> heads) const {
  FB_CHECK(tokens.size() == heads.size());
  std::vector<Transfer> sends, receives;
  std::vector<at::Tensor> places;
  for (int64_t process = 0; process < processes(); ++process) {
    const Part its_heads = heads_of(process);
    for (size_t i = 0; i < tokens.size(); ++i) {
      sends.push_back({process, tokens[i].narrow(2, its_heads.begin, its_heads.count).contiguous()});
      places.push_back(tokens_of(process, heads[i]));
      receives.push_back({process, at::empty(places.back().sizes(), tokens[i].options())});
    }
  }
  group_->exchange(sends, receives);
  for (size_t i = 0; i < places.size(); ++i) places[i].copy_(receives[i].tensor);
}

at::Tensor TokenSplit::heads_to_tokens(const at::Tensor& heads) const {
  if (is_whole()) return heads;
  const at::Tensor tokens = empty_tokens(heads);
  std::vector<Transfer> sends, receives;
  for (int64_t process = 0; process < processes(); ++process) {
    sends.push_back({process, tokens_of(process, heads).contiguous()});
    receives.push_back({process, at::empty({tokens.size(0), tokens.size(1), heads_of(process).count, tokens.size(3)},
                                           tokens.options())});
  }
  group_->exchange(sends, receives);
  for (const Transfer& received : receives) {
    const Part its_heads = heads_of(received.rank);
    tokens.narrow(2, its_heads.begin, its_heads.count).copy_(received.tensor);
  }
  return tokens;
}

}  // namespace flashblock
