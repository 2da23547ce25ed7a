// A cache of text embeddings on disk: the text encoder runs once per prompt.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <string>

#include "core/file_cache.h"
#include "pipeline/session_inputs.h"
#include "weights/weight_store.h"

namespace flashblock {

/// A cache of text embeddings. Returns the same bits as the encoder: a key contains everything that the bits depend on,
/// and damaged files are ignored.
class EmbeddingCache {
 public:
  /// For the encoder in `encoder`, run on `device` in `dtype` by this thread. The key contains path, size, modification
  /// time and inode of the encoder's files, and the token ids, which cover the tokenizer and the cleaning of prompts.
  EmbeddingCache(FileCache files, const WeightStore& encoder, at::Device device, at::ScalarType dtype);

  /// The embedding of a prompt's ids and mask, on the device; undefined if not cached. Shape: [1, L, C].
  at::Tensor find(const EncodedPrompt& prompt) const;

  /// Stores the prompt's embedding without its rows of padding, which are zero.
  void put(const EncodedPrompt& prompt) const;

 private:
  std::string key(const EncodedPrompt& prompt) const;

  FileCache files_;
  std::string origin_;  // everything that the bits depend on except the tokens
  at::Device device_;
  at::ScalarType dtype_;
};

}  // namespace flashblock
