// A video before any weights are loaded: its size, length, start and prompts, checked.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
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

class TimelineWriter;

/// A prompt whose end the text encoder is not given.
struct TruncatedPrompt {
  std::string key;       ///< prompt, timeline or negative_prompt
  double seconds = 0;    ///< when it takes effect
  int64_t tokens = 0;    ///< that it has
  int64_t used = 0;      ///< the first of them, which the text encoder is given
  bool phrases = false;  ///< there is less room because of the phrases behind it
  std::string unseen;    ///< the first words of the rest
};

/// A configuration with what follows from it, the model's sizes and the files that the video starts from.
struct RenderSetup {
  RenderConfig config;  ///< with size and length resolved
  ModelSizes model;     ///< of the model that renders
  VideoGeometry geometry;
  VideoPlan plan;
  std::optional<Replay> replay;
  at::Tensor start_pixels;  ///< [T, 3, H, W] in [0, 1] at the size to encode, T = 1 + 4 k; undefined: no image or video
                            ///< to start from
  int64_t start_peak_bytes = 0;        ///< of this process, if it was while the start was read
  std::vector<int64_t> change_blocks;  ///< the frame block at which each entry of config.timeline takes effect
  std::vector<int64_t> shots;          ///< rising: the frame blocks that begin a shot, of timeline and recording
  std::vector<std::string> choices;    ///< phrases for what the first prompt leaves open; see encoded_text
  std::vector<TruncatedPrompt> truncated_prompts;
  std::string precision;  ///< which parts are computed in 8 bits: see precision_text
  std::vector<std::string>
      warnings;  ///< truncated prompts, what a wish asks for and the prompts do not have; see prompt_warnings
};

/// Reads the recording, image or video that this video starts from, and checks all that can be checked without weights.
/// Sorts the timeline. With config.expand, has prompt and timeline written first: in the result `expand` is empty, and
/// `wish` the prompt that there was.
/// Throws: ConfigError for what cannot be rendered; MediaError for an image or video that cannot be read; WeightsError
/// for a language model that cannot be read.
RenderSetup set_up_render(const RenderConfig& config, const ModelSizes& model, TimelineWriter& writer);
/// The same with a language model of its own.
RenderSetup set_up_render(const RenderConfig& config, const ModelSizes& model);

/// Throws: ConfigError for settings of attention that contradict each other, or a gate for another model or schedule.
void check_attention(const AttentionConfig& attention, const Recipe& recipe, const TransformerConfig& transformer);

/// One line about the words of a prompt that the model was not trained on, if its file tells which words it was.
std::vector<std::string> prompt_warnings(const ModelDescription& model, const std::string& text);

/// The prompts of a video that are longer than the text encoder takes; none for a replayed recording with prompts.
/// Throws: WeightsError for a tokenizer that cannot be read.
std::vector<TruncatedPrompt> find_truncated_prompts(const RenderSetup& setup);
/// The same of one prompt that takes effect at `seconds` and has `phrases` behind it.
std::vector<TruncatedPrompt> find_truncated_prompts(const std::string& text, double seconds,
                                                    const std::vector<std::string>& phrases, const ModelSizes& model);

/// What to say of a truncated prompt.
std::string truncation_warning(const TruncatedPrompt& prompt);

/// Truncated prompts as JSON; without their words if `metadata` is off.
nlohmann::ordered_json truncation_json(const std::vector<TruncatedPrompt>& prompts, bool metadata);

/// A prompt, and the frame block at which it takes effect.
struct PlannedPrompt {
  int64_t block = 0;
  std::string text;
};

/// The texts of prompt and timeline. At a cut the text begins with kShotPrefix, and the next block has it without,
/// unless it has a prompt of its own.
std::vector<PlannedPrompt> planned_prompts(const RenderSetup& setup);

/// What is encoded of a prompt of this video: the prompt with the video's choices, as far as it leaves them open. The
/// text encoder sees all of these: where there are more tokens than it takes, the prompt's last words are left out.
std::string encoded_text(const RenderSetup& setup, const std::string& prompt);

/// The text of a shot's later blocks: `prompt` without kShotPrefix, if it begins with it.
std::string without_cut(const std::string& prompt);

/// Makes `prompt` take effect at frame block `block`, in place of one planned there; the choices stay. Setting up a
/// video from the resulting configuration, with the times of its timeline, gives the same blocks.
void place_prompt(RenderSetup& setup, int64_t block, const std::string& prompt);

/// Makes the video end after `blocks` frame blocks, which have `frames` frames with the given start; what the timeline
/// says beyond is dropped. Rendering the resulting configuration gives exactly these frames. Requires: blocks >= 1.
void end_after(RenderSetup& setup, int64_t blocks, int64_t frames);

/// How the model of a configuration is kept in memory. Thread safety: reads the environment.
ModelOptions model_options(const RenderConfig& config);

/// The parts of its model that this video needs: a replayed recording may replace the text encoder and the tokenizer.
/// Throws: Error.
std::vector<ModelPart> needed_parts(const RenderConfig& config);

}  // namespace flashblock
