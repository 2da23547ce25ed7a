// Keys and values of latent frames in 8 bits.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "attention/key_range.h"

namespace flashblock {

/// A tensor [B, tokens, N, D] of whole frames, in 8 bits: of each frame and head the mean over its tokens is
/// subtracted, what is left of each token and head is rounded to -127 to 127 of its largest value. Numerics: fp32
/// arithmetic; means and steps are rounded to the dtype before they are used, so that nothing depends on other frames.
/// NaN gives NaN. docs/numerics.md, "KV cache in 8 bits".
struct FrameCodes {
  at::Tensor codes;  ///< [B, tokens, N, D] int8
  at::Tensor steps;  ///< [B, tokens, N]
  at::Tensor means;  ///< [B, frames, N, D]

  int64_t bytes() const { return int64_t(codes.nbytes() + steps.nbytes() + means.nbytes()); }
};

/// Memory for keys and values of a number of frames in 8 bits.
class QuantisedFrames {
 public:
  QuantisedFrames(int64_t frames, int64_t tokens_per_frame, const at::TensorOptions& options, int64_t batch,
                  int64_t heads, int64_t head_dim);

  /// Rounds frames and stores them from place `first` on. Shape: whole frames, [B, tokens, N, D] of the dtype.
  void store(int64_t first, const KeyRange& frames);
  void store_keys(int64_t first, const at::Tensor& keys);

  /// The frames at places `first` and on, as numbers of the dtype, in new memory.
  KeyRange load(int64_t first, int64_t frames) const;

  int64_t bytes() const { return keys_.bytes() + values_.bytes(); }

 private:
  FrameCodes part(const FrameCodes& all, int64_t first, int64_t frames) const;

  int64_t tokens_per_frame_;
  FrameCodes keys_, values_;
};

/// Rounds whole frames x [B, tokens, N, D] to `codes`, whose steps and means have the dtype of x.
void quantise_frames(const at::Tensor& x, const FrameCodes& codes);
/// The numbers that `codes` stand for, [B, tokens, N, D].
at::Tensor dequantise_frames(const FrameCodes& codes);

/// The same by LibTorch's operators, `codes.means` given: the fallback, and the reference implementation that the
/// kernels are tested against, with the same bits.
void quantise_frames_by_operators(const at::Tensor& x, const FrameCodes& codes);
at::Tensor dequantise_frames_by_operators(const FrameCodes& codes);

}  // namespace flashblock
