// The tokens and heads of a frame block divided among processes: sequence parallelism by heads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "attention/rope.h"
#include "core/process_group.h"

namespace flashblock {

/// Everything but self-attention works on tokens by themselves: a process has the same part of every latent frame, all
/// heads. In self-attention it has all tokens, and its part of the heads: their keys and values, their cached external
/// state. Two exchanges a layer go from one to the other. Without a group, one process has all, and all members return
/// what they are given. Why by heads: docs/several_gpus.md.
/// Source: DeepSpeed-Ulysses (arXiv 2309.14509), section 3.
/// Numerics: a row is computed as in one process but for the number of rows in its matrix products.
class TokenSplit {
 public:
  /// Throws: ConfigError for more processes than heads, or than tokens of a latent frame.
  TokenSplit(std::shared_ptr<const ProcessGroup> group, int64_t tokens_per_frame, int64_t heads);

  /// The same check. Throws: ConfigError.
  static void check(int64_t processes, int64_t tokens_per_frame, int64_t heads);

  bool is_whole() const { return !group_; }  ///< one process has all
  int64_t first_head() const { return heads_of(rank()).begin; }
  int64_t head_count() const { return heads_of(rank()).count; }
  const ProcessGroup* group() const { return group_.get(); }

  /// The tokens of this process, from [B, L, ...] with L whole latent frames.
  at::Tensor own_tokens(const at::Tensor& all) const;
  Rotation own_tokens(const Rotation& all) const;
  /// The tokens of all processes, from those of each. Shape: [B, own L, C] to [B, L, C].
  at::Tensor all_tokens(const at::Tensor& own) const;

  /// Room for what tokens_to_heads takes, of the dtype of `heads`. Shape: [B, L, own N, D] to [B, own L, N, D].
  at::Tensor empty_tokens(const at::Tensor& heads) const;
  /// Own tokens of all heads to all tokens of own heads, several tensors at once.
  /// Shape: each of `tokens` [B, own L, N, D]; of `heads` [B, L, own N, D], which may be part of a cache.
  void tokens_to_heads(at::ArrayRef<at::Tensor> tokens, at::ArrayRef<at::Tensor> heads) const;
  /// The way back, of one tensor.
  at::Tensor heads_to_tokens(const at::Tensor& heads) const;

 private:
  struct Part {
    int64_t begin, count;
  };
  static Part part(int64_t all, int64_t of, int64_t parts);
  int64_t rank() const { return group_ ? group_->rank() : 0; }
  int64_t processes() const { return group_ ? group_->size() : 1; }
  Part tokens_of(int64_t rank) const { return part(tokens_per_frame_, rank, processes()); }
  Part heads_of(int64_t rank) const { return part(heads_, rank, processes()); }
  /// The tokens of a process among all: a view [B, F, its tokens of a frame, ...].
  at::Tensor tokens_of(int64_t rank, const at::Tensor& all) const;
  /// Own tokens, as a view [B, F, own tokens of a frame, ...].
  at::Tensor by_frame(const at::Tensor& own) const;

  /// What a process is sent, and where that goes which it sends: views, of as many elements as the other's.
  struct Move {
    at::Tensor sent, place;
  };
  /// By process, then by tensor; those of a process have the same sizes. One message to each process, copies in one
  /// kernel before it and one after it.
  void exchange(const std::vector<std::vector<Move>>& moves) const;

  std::shared_ptr<const ProcessGroup> group_;
  int64_t tokens_per_frame_, heads_;
};

}  // namespace flashblock
