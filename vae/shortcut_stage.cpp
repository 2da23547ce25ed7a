#include "vae/shortcut_stage.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/constant_pad_nd.h>

#include <utility>

#include "core/check.h"

namespace flashblock {
namespace {

std::vector<ResidualBlock> residual_blocks(const ShortcutStageWeights& weights, at::ScalarType dtype,
                                           DecoderPrecision precision) {
  std::vector<ResidualBlock> blocks;
  for (const auto& [name, residual] : weights.blocks) blocks.emplace_back(name, residual, dtype, precision);
  return blocks;
}

}  // namespace

UpStage::UpStage(const ShortcutStageWeights& weights, at::ScalarType dtype, DecoderPrecision precision)
    : blocks_(residual_blocks(weights, dtype, precision)),
      resampler_(weights.resampler, weights.resample, dtype),
      inner_channels_(weights.resample.spatial.weight.size(1)) {}

at::Tensor UpStage::forward(at::Tensor frames, FeatureCache& cache) const {
  const at::Tensor input = frames.clone();  // the first block may work in place
  for (const ResidualBlock& block : blocks_) frames = block.forward(std::move(frames), cache);
  const bool starts = resampler_.starts(cache);
  at::Tensor sum = resampler_.forward(frames, cache);
  add_repeated(sum, input, resampler_.memory().frames_per_frame, starts);
  return sum;
}

void UpStage::pass_start(const at::Tensor& frames, FeatureCache& cache) const {
  resampler_.pass_start({frames.size(1), frames.size(2), inner_channels_}, frames.options(), cache);
}

LayerMemory UpStage::memory() const {
  LayerMemory memory = resampler_.memory();
  for (const ResidualBlock& block : blocks_) memory.history_frames += block.memory().history_frames;
  return memory;
}

DownStage::DownStage(const ShortcutStageWeights& weights, at::ScalarType dtype)
    : blocks_(residual_blocks(weights, dtype, DecoderPrecision::kNative)), out_channels_(weights.out_channels) {
  if (!weights.resampler.empty()) resampler_.emplace(weights.resampler, weights.resample, dtype);
}

at::Tensor DownStage::forward(at::Tensor frames, FeatureCache& cache) const {
  const at::Tensor input = frames.clone();
  for (const ResidualBlock& block : blocks_) frames = block.forward(std::move(frames), cache);
  if (!resampler_) return frames.add_(input);
  const int64_t frames_per_frame = resampler_->frames_per_frame();
  const bool pads = frames_per_frame == 2 && resampler_->starts(cache);
  at::Tensor sum = resampler_->forward(frames, cache);
  const at::Tensor whole = pads ? at::constant_pad_nd(input, {0, 0, 0, 0, 0, 0, 1, 0}) : input;
  return sum.add_(grouped_means(whole, frames_per_frame, out_channels_));
}

void add_repeated(at::Tensor& sum, const at::Tensor& frames, int64_t frames_per_frame, bool starts) {
  const int64_t count = frames.size(0), rows = frames.size(1), columns = frames.size(2);
  const int64_t in = frames.size(3), out = sum.size(3), dropped = starts ? frames_per_frame - 1 : 0;
  FB_CHECK(sum.size(0) == count * frames_per_frame - dropped && sum.size(1) == 2 * rows && sum.size(2) == 2 * columns);
  const int64_t copies = out * frames_per_frame * 4 / in;
  const at::Tensor first = at::arange(out, sum.options().dtype(at::kLong)) * (frames_per_frame * 4);
  const at::Tensor pixels = sum.view({sum.size(0), rows, 2, columns, 2, out});
  for (int64_t place = 0; place < frames_per_frame * 4; ++place) {
    const int64_t it = place / 4, ih = place / 2 % 2, iw = place % 2;
    const int64_t skipped = it < dropped ? 1 : 0;  // the first input frame has no such copy
    if (skipped == count) continue;
    const at::Tensor channels = (first + place).div_(copies, "floor");
    const at::Tensor source = frames.narrow(0, skipped, count - skipped).index_select(3, channels);
    const int64_t begin = skipped * frames_per_frame + it - dropped;
    pixels.slice(0, begin, sum.size(0), frames_per_frame).select(4, iw).select(2, ih).add_(source);
  }
}

at::Tensor grouped_means(const at::Tensor& frames, int64_t frames_per_frame, int64_t out_channels) {
  const int64_t count = frames.size(0) / frames_per_frame, rows = frames.size(1) / 2, columns = frames.size(2) / 2;
  FB_CHECK(frames.size(0) == count * frames_per_frame, frames.size(0), " frames in groups of ", frames_per_frame);
  return frames.view({count, frames_per_frame, rows, 2, columns, 2, frames.size(3)})
      .permute({0, 2, 4, 6, 1, 3, 5})
      .reshape({count, rows, columns, out_channels, -1})
      .mean(-1);
}

}  // namespace flashblock
