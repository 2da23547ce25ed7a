#include "analysis/drawn_frames.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/sin.h>

namespace flashblock {
namespace {

constexpr int64_t kBlocks = 8;
constexpr double kGrain = 2;  // standard deviation, of 255

struct Wave {
  double row, column, frame;  // radians per pixel, per pixel, per frame
  double strength[3];         // of red, green, blue, of 255
};
constexpr Wave kWaves[] = {{.02, .011, .1, {40, 20, 10}}, {.005, .07, .3, {10, 25, 30}}, {.21, -.13, .5, {12, 12, 12}}};

at::Tensor frame(const at::Tensor& rows, const at::Tensor& columns, int64_t index) {
  const at::Tensor grain = at::randn({rows.size(0), columns.size(1), 1}) * kGrain;
  at::Tensor all = grain.expand({-1, -1, 3}) + 110.0;
  for (const Wave& wave : kWaves) {
    const at::Tensor wave_of = at::sin(rows * wave.row + columns * wave.column + wave.frame * double(index));
    for (int64_t color = 0; color < 3; ++color) all.select(2, color).add_(wave_of, wave.strength[color]);
  }
  return all.clamp_(0, 255);
}

}  // namespace

DrawnFrames::DrawnFrames(int64_t height, int64_t width, int64_t frames)
    : frames_(frames), video_(at::empty({kBlocks * frames, height, width, 3}, at::kByte)) {
  const at::Tensor rows = at::arange(height, at::kFloat).unsqueeze(1),
                   columns = at::arange(width, at::kFloat).unsqueeze(0);
  for (int64_t i = 0; i < video_.size(0); ++i) video_[i].copy_(frame(rows, columns, i));
}

at::Tensor DrawnFrames::block(int64_t index, int64_t frames) const {
  return video_.narrow(0, index % kBlocks * frames_, frames);
}

}  // namespace flashblock
