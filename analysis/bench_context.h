// What the parts of a benchmark share.
#pragma once

#include <ATen/ops/randn.h>

#include <memory>
#include <stop_token>
#include <vector>

#include "analysis/benchmark.h"
#include "pipeline/render_line.h"
#include "vae/latent_decoder.h"

namespace flashblock {

/// One model, video and window.
struct BenchContext {
  const RenderSetup& setup;  ///< its recipe has the window
  LoadedModel& model;
  const BenchmarkOptions& options;
  const std::vector<NamedAttention>& modes;
  const std::stop_token& stop;
  BenchmarkWindow window;  ///< the length of the video if the recipe has none
  int64_t passes;          ///< denoising passes of a frame block
  const Ceilings& ceilings;

  const Recipe& recipe() const { return setup.config.model.recipe; }
  at::Device device() const { return model.device(); }

  at::Tensor random(at::IntArrayRef shape) const {
    return at::randn(shape, at::TensorOptions().device(model.device()).dtype(model.dtype()));
  }
  /// Shape: [1, L, C].
  at::Tensor text() const {
    return random({1, model.transformer_config().text_len, model.transformer_config().text_dim});
  }
  /// Of one frame block. Shape: [1, F, C, H, W].
  at::Tensor latents() const {
    return random({1, recipe().frames_per_block, model.transformer_config().in_channels, setup.geometry.latent_height(),
                   setup.geometry.latent_width()});
  }
  /// Frames of a frame block that is not the first.
  int64_t block_frames() const { return recipe().frames_per_block * setup.geometry.strides.time; }
  /// The first frame block of a video with a full window.
  int64_t first_full_block() const {
    return (window.frames + recipe().frames_per_block - 1) / recipe().frames_per_block - 1;
  }

  /// Calls `run(index of a mode, whether the run counts)` for each mode in turn, `rounds` times, after a warm-up round
  /// that does not count. False if `stop` was requested.
  template <typename Run>
  bool take_turns(int64_t rounds, const Run& run) const {
    for (int64_t round = -1; round < rounds; ++round) {
      for (size_t mode = 0; mode < modes.size(); ++mode) {
        if (stop.stop_requested()) return false;
        run(mode, round >= 0);
      }
    }
    return !stop.stop_requested();
  }
};

}  // namespace flashblock
