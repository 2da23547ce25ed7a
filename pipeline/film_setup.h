// A film before any weights are loaded: its size, length, start and prompts, checked.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/video_geometry.h"
#include "models/model_config.h"
#include "pipeline/film_record.h"
#include "pipeline/frame_block.h"
#include "pipeline/render_config.h"

namespace flashblock {

/// What follows from a configuration, a model's sizes and the files that the film starts from.
struct FilmSetup {
  RenderConfig config;  ///< with size and length as they come out
  VideoGeometry geometry;
  FilmPlan plan;
  std::optional<FilmReplay> replay;
  at::Tensor start_pixels;  ///< [T, 3, H, W] in [0, 1], T = 1 + 4 k; undefined: no picture or film to start from
  std::vector<int64_t> change_blocks;  ///< the frame block at which each entry of config.timeline takes effect
};

/// Reads the record, the picture or the film that this film starts from, and checks everything that can be checked.
/// The timeline comes out sorted.
/// Throws: ConfigError for what cannot be rendered; MediaError for a picture or film that cannot be read.
FilmSetup set_up_film(const RenderConfig& config, const TransformerConfig& transformer);

/// Throws: ConfigError for settings of attention that contradict each other, or a gate for another model or schedule.
void check_attention(const AttentionConfig& attention, const Recipe& recipe, const TransformerConfig& transformer);

/// Has `prompt` begin at frame block `block`, in place of any that was to begin there: a film that is set up from the
/// configuration as it then is, with the timeline's times, changes its prompts at the same blocks.
void place_prompt(FilmSetup& setup, int64_t block, const std::string& prompt);

}  // namespace flashblock
