// A video before any weights are loaded: its size, length, start and prompts, checked.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/model_config.h"
#include "models/video_geometry.h"
#include "pipeline/frame_block.h"
#include "pipeline/loaded_model.h"
#include "pipeline/recording.h"
#include "settings/model_file.h"
#include "settings/render_config.h"

namespace flashblock {

/// What follows from a configuration, a model's sizes and the files that the video starts from.
struct RenderSetup {
  RenderConfig config;  ///< with size and length as they come out
  VideoGeometry geometry;
  VideoPlan plan;
  std::optional<Replay> replay;
  at::Tensor start_pixels;  ///< [T, 3, H, W] in [0, 1], T = 1 + 4 k; undefined: no frame or video to start from
  std::vector<int64_t> change_blocks;  ///< the frame block at which each entry of config.timeline takes effect
};

/// Reads the record, the frame or the video that this video starts from, and checks everything that can be checked.
/// The timeline comes out sorted.
/// Throws: ConfigError for what cannot be rendered; MediaError for a frame or video that cannot be read.
RenderSetup set_up_render(const RenderConfig& config, const TransformerConfig& transformer);

/// Throws: ConfigError for settings of attention that contradict each other, or a gate for another model or schedule.
void check_attention(const AttentionConfig& attention, const Recipe& recipe, const TransformerConfig& transformer);

/// Has `prompt` begin at frame block `block`, in place of any that was to begin there: a video that is set up from the
/// configuration as it then is, with the timeline's times, changes its prompts at the same blocks.
void place_prompt(RenderSetup& setup, int64_t block, const std::string& prompt);

/// What a configuration says of how its model is kept. Thread safety: reads the environment.
ModelOptions model_options(const RenderConfig& config);

/// The parts of its model that this video needs: what a replayed record holds need not be made. Throws: Error.
std::vector<ModelPart> needed_parts(const RenderConfig& config);

}  // namespace flashblock
