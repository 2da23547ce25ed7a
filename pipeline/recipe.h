// The contents of a model file: paths of weights, how videos are sampled, and defaults of a video.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace flashblock {

class ContextRule;  // pipeline/context_rule.h

/// A registered context rule. Converts from its name: `recipe.context_rule = "ema_sink"`.
class ContextRuleRef {
 public:
  /// Throws: ConfigError that lists the rules, for a name that is not among them.
  ContextRuleRef(std::string_view name);
  ContextRuleRef(const char* name) : ContextRuleRef(std::string_view(name)) {}

  const ContextRule& operator*() const { return *rule_; }
  const ContextRule* operator->() const { return rule_; }
  bool operator==(const ContextRuleRef&) const = default;

 private:
  const ContextRule* rule_ = nullptr;
};

/// Throws: ConfigError that names all values possible.
ContextRuleRef parse_context_rule(std::string_view name);
std::string to_string(ContextRuleRef rule);

/// A prompt that begins with this begins a shot, in models that have shots; the words are part of the prompt.
/// Source: LongLive 2 `pipeline/causal_diffusion_inference.py`.
inline constexpr std::string_view kShotPrefix = "The scene transitions. ";

/// How frame blocks are denoised. One field per key of the model file's `recipe`; each can be overridden per run.
struct Recipe {
  /// Latent frames denoised together. Range: 1 and up. Source: Self-Forcing `num_frame_per_block`.
  int64_t frames_per_block = 3;
  /// The video's first latent frame is a separate frame block; later ones have frames_per_block.
  /// Source: Self-Forcing `independent_first_frame`.
  bool independent_first_frame = false;
  /// Latent frames attended to, including the block itself; -1: all. Range: -1, or sink_frames + frames_per_block and
  /// up. Source: Self-Forcing `local_attn_size`.
  int64_t window_frames = -1;
  /// First latent frames of the video, which are never evicted. Range: 0 and up. Source: Self-Forcing `sink_size`.
  int64_t sink_frames = 0;
  /// Largest distance in time between the sink's first frame and the end of the current block, in latent frames plus
  /// one; a sink further away moves with the video. Range: 1 and up; at least the window is used. Source:
  /// Self-Forcing `wan/modules/model.py`, the rows of the rotary table.
  int64_t position_frames = 1024;
  /// What blocks attend to besides window and sink, and how it is made.
  ContextRuleRef context_rule = "window";
  /// Of ema_sink: the share of the sink that stays when a block is averaged into it. Range: 0 to 1.
  /// Source: Reward-Forcing `compression_alpha`.
  double sink_decay = 0.999;
  /// Of memory_bank: latent frames in the bank. Range: 1 and up. Source: MemFlow `bank_size`.
  int64_t bank_frames = 3;
  /// Of memory_bank: blocks from one candidate to the next. Range: 1 and up. Source: MemFlow `record_interval`.
  int64_t bank_interval = 3;
  /// Of memory_bank: the candidate is always of the latest block, also between those that the interval names. Source:
  /// MemFlow `inference.py`; its interactive program, and its training, keep to the interval.
  bool bank_latest_block = false;
  /// An image is the first latent frame of the first frame block, at time 0 in all its passes, and not a block before
  /// it. Source: LongLive 2 `independent_first_frame`; Wan2.2 `wan/textimage2video.py`.
  bool image_in_first_block = false;
  /// Latent frames that a cut between shots adds to the distance of all that was before; 0: the model has no shots.
  /// Source: LongLive 2 `multi_shot_rope_offset`.
  int64_t shot_offset_frames = 0;
  /// Shift of the noise schedule: sigma = shift s / (1 + (shift - 1) s). Range: above 0.
  /// Source: Self-Forcing `timestep_shift`.
  double timestep_shift = 5.0;
  /// Timesteps of the denoising passes, decreasing. Range of each: above 0, to 1000.
  /// Source: Self-Forcing `denoising_step_list`.
  std::vector<double> steps = {1000, 750, 500, 250};
  /// Timesteps of the video's first frame block; empty: those of `steps`. The first block has no context.
  std::vector<double> first_steps;
  /// The steps are positions in the shifted schedule rather than timesteps.
  /// Source: Self-Forcing `warp_denoising_step`.
  bool warp_steps = true;
  /// Timestep of the clean pass. Range: 0 to 1000. Source: Self-Forcing `context_noise`.
  double context_noise = 0;
  /// At a change of the prompt, keys and values of sink and window are recomputed under the new one; otherwise they
  /// stay as computed under the old prompt, for models that were trained that way. Source: LongLive (arXiv 2509.22622),
  /// section 3.2, KV recache.
  bool kv_recache = true;
  /// Scale of classifier-free guidance; 1: no guidance, one pass per step. Source: Self-Forcing `guidance_scale`.
  double guidance_scale = 1.0;
  /// Negative prompt of guidance; used only if guidance_scale is not 1. Source: Self-Forcing `negative_prompt`.
  std::string negative_prompt;
  /// Steps of the UniPC solver, for models that were not distilled to few steps; 0: the few-step list of `steps`.
  /// Range: 0 to 1000. Source: Self-Forcing `pipeline/causal_diffusion_inference.py` (50).
  int64_t unipc_steps = 0;

  /// Denoising passes of a frame block (of the first one: with the step list of `first_steps`, if any).
  int64_t denoising_passes() const { return unipc_steps > 0 ? unipc_steps : static_cast<int64_t>(steps.size()); }
};

/// Default size and length of a video. One field per key of the model file's `defaults`.
struct VideoDefaults {
  int64_t width = 832;   ///< pixels
  int64_t height = 480;  ///< pixels
  int64_t fps = 16;      ///< frames per second
  double seconds = 5;    ///< length of the video
};

/// A file of tensors, and the entry to use if it has several.
struct WeightsFile {
  std::filesystem::path path;
  std::string entry;  ///< e.g. generator_ema; empty: the only one
};

/// A low-rank adapter (LoRA) of the transformer, merged when its weights are loaded.
struct LoraFile {
  std::filesystem::path path;
  std::string entry;  ///< as in WeightsFile
  double scale = 1.0;
  bool of_video = false;  ///< not of the model file: the configuration of a video adds it
};

/// Something that a prompt may leave open, and the phrases of which the seed then chooses one (render/choices.h).
struct Choice {
  std::vector<std::string> phrases;  ///< at least one
  std::set<std::string> unless;      ///< lower-case words of prompts that tell it already; empty: none does
  std::set<std::string> when;        ///< lower-case words of prompts that it belongs to; empty: to every one
};

/// A parsed model file: paths are absolute, or empty where the file has none.
struct ModelDescription {
  std::filesystem::path file;  ///< the model file itself
  std::string name;
  std::string architecture = "wan2.1";
  WeightsFile transformer;
  std::filesystem::path
      transformer_config;  ///< config.json; empty: the one in the weights' folder, else inferred from shapes
  WeightsFile text_encoder;
  std::filesystem::path tokenizer;
  WeightsFile vae;
  std::vector<LoraFile> lora;
  std::string about;            ///< what it was trained on, as a noun phrase; empty: not stated
  std::set<std::string> knows;  ///< the words of its prompts, lower-case; empty: not stated
  std::vector<Choice> choices;  ///< in the order in which they are made
  bool has_sources = false;     ///< it has download sources, for scripts/download-models
  Recipe recipe;
  VideoDefaults defaults;
};

}  // namespace flashblock
