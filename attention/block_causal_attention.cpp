#include "attention/block_causal_attention.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <cmath>
#include <limits>
#include <utility>

#include "attention/attention.h"
#include "attention/external_attention.h"
#include "core/check.h"

namespace flashblock {
namespace {

// [R, S] bool: whether a row may not attend to a staged token, which is of a later block.
at::Tensor later_blocks(int64_t rows, int64_t tokens, int64_t block_tokens, const at::Tensor& like) {
  const auto block_of = [&](int64_t count, int64_t per_block) {
    return at::arange(count, like.options().dtype(at::kLong)).floor_divide(per_block);
  };
  const at::Tensor row_block = block_of(rows, rows / tokens * block_tokens),
                   token_block = block_of(tokens, block_tokens);
  return token_block.unsqueeze(0) > row_block.unsqueeze(1);
}

AttentionState masked_attention(const at::Tensor& q, const KeyRange& staged, const at::Tensor& hidden) {
  const at::Tensor qt = q.transpose(1, 2).to(at::kFloat);                    // [B, N, R, D]
  const at::Tensor keys = staged.keys.permute({0, 2, 3, 1}).to(at::kFloat);  // [B, N, D, S]
  const at::Tensor values = staged.values.transpose(1, 2).to(at::kFloat);    // [B, N, S, D]
  const at::Tensor scores = at::matmul(qt, keys)
                                .div_(std::sqrt(double(q.size(3))))  // [B, N, R, S]
                                .masked_fill_(hidden, -std::numeric_limits<double>::infinity());
  const at::Tensor lse = at::logsumexp(scores, -1);
  const at::Tensor output = at::matmul(at::softmax(scores, -1), values).transpose(1, 2).to(q.scalar_type());
  return {output.contiguous(), lse};
}

}  // namespace

at::Tensor block_causal_attention(const at::Tensor& q, const KvCache& kv, int64_t block_tokens) {
  const KeyRange staged = kv.block();
  const int64_t rows = q.size(1), tokens = staged.tokens();
  FB_CHECK(tokens % block_tokens == 0 && rows % tokens == 0, rows, " rows for ", tokens, " tokens in blocks of ",
           block_tokens);
  AttentionState own = tokens == block_tokens
                           ? attention_with_lse(q, staged.keys, staged.values)
                           : masked_attention(q, staged, later_blocks(rows, tokens, block_tokens, q));
  return merge(attention_to_parts(q, KeyParts(kv)), std::move(own)).output;
}

}  // namespace flashblock
