// Encoded prompts, kept from run to run, so that the text encoder is needed once.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <string>

#include "core/file_cache.h"
#include "pipeline/session_inputs.h"
#include "weights/weight_store.h"

namespace flashblock {

/// A cache of text embeddings. What it gives is bit for bit what the encoder would make: a key holds everything that
/// the bits depend on, and a file that is not what was written is passed over.
class EmbeddingCache {
 public:
  /// Of the encoder in `encoder`, run on `device` in `dtype` by this thread. The files of the encoder are known by
  /// path, size, time of change and inode, the tokenizer and the cleaning of prompts by the token ids that come out of
  /// them.
  EmbeddingCache(FileCache files, const WeightStore& encoder, at::Device device, at::ScalarType dtype);

  /// The embedding of a prompt's ids and mask, on the device; undefined if it is not kept. Shape: [1, L, C].
  at::Tensor find(const EncodedPrompt& prompt) const;

  /// Keeps the prompt's embedding. Rows of padding, which are zero, are left out.
  void put(const EncodedPrompt& prompt) const;

 private:
  std::string key(const EncodedPrompt& prompt) const;

  FileCache files_;
  std::string origin_;  // all that the bits depend on beside the tokens
  at::Device device_;
  at::ScalarType dtype_;
};

}  // namespace flashblock
