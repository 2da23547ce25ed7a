#include "attention/rope.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/error.h"

namespace flashblock {
namespace {

// [positions, pairs] fp64: position * 10000^(-k / pairs).
at::Tensor axis_angles(int64_t positions, int64_t pairs) {
  const auto fp64 = at::TensorOptions().dtype(at::kDouble);
  const at::Tensor frequencies =
      at::pow(10000.0, at::arange(pairs, fp64) * (-1.0 / double(std::max<int64_t>(pairs, 1))));
  return at::outer(at::arange(positions, fp64), frequencies);
}

// Fits angles [L, D/2] to the dimensions of x.
at::Tensor along(const at::Tensor& angles, const at::Tensor& x, int64_t token_dimension) {
  std::vector<int64_t> shape(size_t(x.dim()), 1);
  shape[size_t(token_dimension)] = angles.size(0);
  shape.back() = angles.size(1);
  return angles.view(shape);
}

}  // namespace

TextRopeTable::TextRopeTable(int64_t head_dim, int64_t positions, double base, at::Device device) {
  FB_CHECK(head_dim % 2 == 0, "odd head width ", head_dim);
  const auto fp64 = at::TensorOptions().dtype(at::kDouble);
  const at::Tensor frequencies = at::pow(base, at::arange(0, head_dim, 2, fp64) * (-1.0 / double(head_dim)));
  const at::Tensor angles = at::outer(at::arange(positions, fp64), frequencies);
  const auto fp32 = at::TensorOptions().device(device).dtype(at::kFloat);
  cosine_ = angles.cos().to(fp32);
  sine_ = angles.sin().to(fp32);
}

Rotation TextRopeTable::rotation(int64_t start, int64_t tokens) const {
  FB_CHECK(start >= 0 && start + tokens <= positions(), "tokens up to ", start + tokens, " of ", positions());
  return {cosine_.narrow(0, start, tokens), sine_.narrow(0, start, tokens)};
}

at::Tensor apply_rope_halves(const at::Tensor& x, const Rotation& rotation, int64_t token_dimension) {
  const auto halves = x.to(at::kFloat).chunk(2, -1);
  const at::Tensor cosine = along(rotation.cosine, x, token_dimension), sine = along(rotation.sine, x, token_dimension);
  return at::cat({halves[0] * cosine - halves[1] * sine, halves[1] * cosine + halves[0] * sine}, -1)
      .to(x.scalar_type())
      .contiguous();
}

RopeTable::RopeTable(int64_t head_dim, int64_t max_frames, int64_t rows, int64_t columns, at::Device device)
    : max_frames_(max_frames), tokens_per_frame_(rows * columns) {
  FB_CHECK(head_dim % 2 == 0, "odd head width ", head_dim);
  const int64_t pairs = head_dim / 2, space_pairs = pairs / 3, frame_pairs = pairs - 2 * space_pairs;
  const at::Tensor frame = axis_angles(max_frames, frame_pairs);
  const at::Tensor row = axis_angles(rows, space_pairs).unsqueeze(1).expand({rows, columns, space_pairs});
  const at::Tensor column = axis_angles(columns, space_pairs).unsqueeze(0).expand({rows, columns, space_pairs});
  const at::Tensor space = at::cat({row, column}, -1).view({tokens_per_frame_, 2 * space_pairs});
  const auto fp32 = at::TensorOptions().device(device).dtype(at::kFloat);
  frame_angles_[0] = frame.cos().to(fp32);
  frame_angles_[1] = frame.sin().to(fp32);
  space_angles_[0] = space.cos().to(fp32);
  space_angles_[1] = space.sin().to(fp32);
}

Rotation RopeTable::rotation(int64_t start_frame, int64_t frames) const {
  if (start_frame < 0 || start_frame + frames > max_frames_)
    throw ConfigError("latent frame " + std::to_string(start_frame + frames) + " exceeds the video's " +
                      std::to_string(max_frames_) + " latent frames");
  at::Tensor tokens[2];
  for (int i = 0; i < 2; ++i) {
    const at::Tensor time = frame_angles_[i].narrow(0, start_frame, frames).unsqueeze(1);
    const at::Tensor space = space_angles_[i].unsqueeze(0);
    tokens[i] = at::cat({time.expand({frames, tokens_per_frame_, time.size(2)}),
                         space.expand({frames, tokens_per_frame_, space.size(2)})},
                        -1)
                    .flatten(0, 1);
  }
  return {tokens[0], tokens[1]};
}

Rotation RopeTable::shift(int64_t frames) const {
  FB_CHECK(std::abs(frames) < max_frames_, "shift by ", frames, " of ", max_frames_, " frames");
  const int64_t space_pairs = space_angles_[0].size(1), angle = std::abs(frames);
  const at::Tensor sine = at::constant_pad_nd(frame_angles_[1].narrow(0, angle, 1), {0, space_pairs}, 0);
  return {at::constant_pad_nd(frame_angles_[0].narrow(0, angle, 1), {0, space_pairs}, 1), frames < 0 ? -sine : sine};
}

at::Tensor apply_rope(const at::Tensor& x, const Rotation& rotation) {
  const at::Tensor pairs = x.to(at::kFloat).reshape({x.size(0), x.size(1), x.size(2), -1, 2});
  const at::Tensor a = pairs.select(-1, 0), b = pairs.select(-1, 1);
  const at::Tensor cosine = rotation.cosine.unsqueeze(1), sine = rotation.sine.unsqueeze(1);
  return at::stack({a * cosine - b * sine, a * sine + b * cosine}, -1).flatten(-2).to(x.scalar_type());
}

}  // namespace flashblock
