// Rotary position embedding: over frame, row and column of a video, and along a text.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>

namespace flashblock {

/// Cosines and sines of the tokens of one frame block: [L, D/2] fp32 each, L frame-major, then row, then column.
struct Rotation {
  at::Tensor cosine;
  at::Tensor sine;
};

/// Angles of all positions in a video, computed once in float64.
///
/// The D/2 pairs of a head are split over (frame, row, column): row and column get floor(D/2 / 3) each, frame the rest
/// (22, 21, 21 of 64). Pair k of an axis with p pairs is rotated by position * 10000^(-k/p).
/// Source: Self-Forcing `wan/modules/model.py` rope_params, `causal_model.py` causal_rope_apply; wan-reference: frame
/// positions are absolute, rows and columns start at 0, and cached keys keep the rotation they were written with.
class RopeTable {
 public:
  /// Requires: an even head_dim.
  RopeTable(int64_t head_dim, int64_t max_frames, int64_t rows, int64_t columns, at::Device device);

  /// Rotation of the tokens of `frames` latent frames from `start_frame` on.
  /// Throws: ConfigError if they exceed max_frames.
  Rotation rotation(int64_t start_frame, int64_t frames) const;

  /// Rotates keys that were rotated at their own frame on to a position `frames` later in time, or earlier for a number
  /// below 0: one row for all tokens. RoPE is relative, so the result is the rotation at that frame, up to one more
  /// rounding. Requires: frames below max_frames in size.
  Rotation shift(int64_t frames) const;

 private:
  int64_t max_frames_;
  int64_t tokens_per_frame_;
  at::Tensor frame_angles_[2];  // cosine, sine: [max_frames, pairs of the frame axis] fp32
  at::Tensor space_angles_[2];  // cosine, sine: [rows * columns, pairs of both space axes] fp32
};

/// Angles of all positions in a text, computed once in float64: pair k of D/2 is rotated by position * base^(-2k/D).
/// Source: Qwen3 and SDAR `modeling_sdar.py`, default rotary embedding.
class TextRopeTable {
 public:
  /// Requires: an even head_dim.
  TextRopeTable(int64_t head_dim, int64_t positions, double base, at::Device device);

  int64_t positions() const { return cosine_.size(0); }
  /// Rotation of the tokens from `start` on, [tokens, D/2] each. Requires: within the table.
  Rotation rotation(int64_t start, int64_t tokens) const;

 private:
  at::Tensor cosine_, sine_;  // [positions, D/2] fp32
};

/// Rotates the pairs (j, j + D/2) of each head, as language models do.
/// Shape: x [..., L, any dimensions, D] with `token_dimension` giving L's; any strides; returns a new contiguous
/// tensor. Numerics: fp32 arithmetic, one rounding to the dtype of x.
at::Tensor apply_rope_halves(const at::Tensor& x, const Rotation& rotation, int64_t token_dimension = 1);

/// Rotates the adjacent pairs (2j, 2j+1) of each head.
/// Shape: x [B, L, N, D], any strides; returns a new contiguous tensor.
/// Numerics: fp32 arithmetic, one rounding to the dtype of x (the reference computes in float64: differs by at most one
/// rounding).
at::Tensor apply_rope(const at::Tensor& x, const Rotation& rotation);

}  // namespace flashblock
