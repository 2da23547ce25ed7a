#include "settings/settings_table.h"

#include <utility>

#include "attention/refresh_policy.h"
#include "core/html_page.h"
#include "pipeline/context_rule.h"

namespace flashblock {
namespace {

using namespace fields;
using enum IdentityRole;
using enum SettingKind;

constexpr const char* kPrompt = "Prompt";
constexpr const char* kVideo = "Video";
constexpr const char* kOutput = "Output";
constexpr const char* kModel = "Model";

template <typename Member>
auto encoder(Member member) {
  return field(&RenderConfig::encoder, member);
}
template <typename Member>
auto output_option(Member member) {
  return field(&RenderConfig::output_options, member);
}
template <typename Member>
auto attention(Member member) {
  return field(&RenderConfig::attention, member);
}
template <typename Member>
auto recipe(Member member) {
  return field(&RenderConfig::model, &ModelDescription::recipe, member);
}

Setting row(std::string name, SettingField field, std::string help, SettingOption option = {},
            SettingTraits traits = {}) {
  return {std::move(name), std::move(field), std::move(help), std::move(option), std::move(traits)};
}

bool has_no_frames(const RenderConfig& config) { return !config.frames.has_value(); }
bool has_int8_linears(const RenderConfig& config) { return config.precision.linears == LinearPrecision::kInt8; }
bool is_sparse(const RenderConfig& config) { return config.attention.density != 0; }
/// Whether the refresh policy depends on the key.
std::function<bool(const RenderConfig&)> policy_reads(std::string key) {
  return [key = std::move(key)](const RenderConfig& config) { return config.attention.refresh->reads(key); };
}

/// Whether the context rule depends on the key.
std::function<bool(const RenderConfig&)> rule_reads(std::string key) {
  return [key = std::move(key)](const RenderConfig& config) { return config.model.recipe.context_rule->reads(key); };
}

/// What a video shows, how long and how large it is, and what it starts from.
std::vector<Setting> video_settings() {
  return {
      row("prompt", prompt(), "What to show", {{"PROMPT", "--prompt"}, kPrompt, "TEXT"}, {.secret = true}),
      row("prompt_file", prompt_file(), "What to show, from a text file", {{"--prompt-file"}, kPrompt, "FILE"},
          {.identity = kNone,
           .excludes = "prompt",
           .excludes_reason = "there are two prompts, here and in prompt: give one of them"}),
      row("timeline", timeline(),
          "The prompt changes at the frame block that contains this time; the option may be repeated",
          {{"--prompt-at"}, kPrompt, "SECONDS=TEXT", "", "", collect_changes, spread_changes}, {.secret = true}),
      row("expand", expand(),
          "The prompt is a wish, from which a language model writes prompt and timeline: the included one, or another "
          "by its folder",
          {{"--expand"}, kPrompt, "MODEL", "true"},
          {.identity = kNone,
           .excludes = "timeline",
           .excludes_reason = "the timeline is written from the prompt: leave out either expand or timeline",
           .default_words = "false"}),
      row("wish", text(field(&RenderConfig::wish)), "What prompt and timeline were written from", {},
          {.identity = kNone, .secret = true}),
      row("choices", choices(),
          "Phrases added to every prompt for what the first one leaves open, in place of those that the seed chooses "
          "from the model file's `choices`; an empty list: the prompts as they are",
          {}, {.identity = kResolved, .written_if_empty = true, .default_words = "chosen by the seed"}),
      row("seconds", seconds(), "Length of what is rendered: rounded up to whole frame blocks, then cut",
          {.names = {"--seconds"},
           .group = kVideo,
           .type = "S",
           .also_called = {"duration", "length", "video-length", "time"}},
          {.identity = kResolved, .model_default = true, .is_in_use = has_no_frames}),
      row("frames", integer(field(&RenderConfig::frames), 1, kMostFrames), "The length in frames",
          {.names = {"--frames"},
           .group = kVideo,
           .type = "N",
           .also_called = {"num-frames", "frame-num", "frame-count", "video-frames", "n-frames"}},
          {.identity = kResolved,
           .excludes = "seconds",
           .excludes_reason = "the length is given twice, here and in seconds: give one of them"}),
      row("size", size(), "Frame size",
          {.names = {"--size"},
           .group = kVideo,
           .type = "WxH",
           .also_called = {"width", "height", "resolution", "video-size", "w", "h"}},
          {.model_default = true}),
      row("fps", integer(field(&RenderConfig::fps), 1, 240), "Frames per second",
          {.names = {"--fps"},
           .group = kVideo,
           .type = "N",
           .also_called = {"frame-rate", "framerate", "rate", "sample-fps"}},
          {.model_default = true}),
      row("seed", integer(field(&RenderConfig::seed), 0),
          "Seed of all random numbers: the same seed gives the same video, a longer one begins the same",
          {.names = {"--seed"},
           .group = kVideo,
           .type = "N",
           .also_called = {"base-seed", "random-seed", "noise-seed"}},
          {.default_words = "drawn and reported"}),
      row("image", file(field(&RenderConfig::image), kInputFile), "Start from this image",
          {.names = {"--image"},
           .group = kVideo,
           .type = "FILE",
           .also_called = {"init-image", "start-image", "first-frame", "image-path", "input-image", "i2v"}},
          {.identity = kChecksum}),
      row("video", file(field(&RenderConfig::video), kInputFile), "Continue this video",
          {.names = {"--video"},
           .group = kVideo,
           .type = "FILE",
           .also_called = {"init-video", "start-video", "video-path", "continue", "extend"}},
          {.identity = kChecksum,
           .excludes = "image",
           .excludes_reason = "a video starts from an image or from a video, not from both"}),
      row("replay", file(field(&RenderConfig::replay), kInputFile),
          "Take the inputs from a recording instead of prompt, seed and start",
          {{"--replay"}, kVideo, "FILE.safetensors"}, {.identity = kChecksum}),
  };
}

/// Where the video goes, and how it is encoded.
std::vector<Setting> output_settings() {
  return {
      row("output", output(),
          "Where the video goes: a .mp4, .mkv or .mov file, FOLDER/%06d.png, or standard output (- as MP4, -.y4m as "
          "raw frames)",
          {.names = {"-o,--output"},
           .group = kOutput,
           .type = "FILE",
           .also_called = {"out", "outfile", "save-path", "save-file", "save", "output-path", "output-dir",
                           "output-folder", "output-file", "out-dir", "outdir"}},
          {.identity = kNone, .default_words = "flashblock-<seed>-<words of the prompt>.mp4"}),
      row("contact_sheet", file(field(&RenderConfig::contact_sheet), kOutputFile),
          "Also write a PNG with frames from the whole video", {{"--contact-sheet"}, kOutput, "FILE.png"},
          {.identity = kNone}),
      row("record", file(field(&RenderConfig::record), kOutputFile), "Write all inputs and results to this file",
          {{"--record"}, kOutput, "FILE.safetensors"}, {.identity = kNone}),
      row("resume", boolean(field(&RenderConfig::resume)),
          "Continue an unfinished video, bit for bit; its settings are kept with it, so that its name is enough",
          {{"--resume"}, kOutput, "", "true"}, {.identity = kNone}),
      row("overwrite", boolean(field(&RenderConfig::overwrite)), "Replace an existing video or unfinished work",
          {.names = {"--overwrite"}, .group = kOutput, .value = "true", .also_called = {"force", "yes", "replace"}},
          {.identity = kNone}),
      row("metadata", boolean(field(&RenderConfig::metadata)), "Put the prompt into the video and its JSON",
          {{"--no-metadata"}, kOutput, "", "false", "Leave the prompt out of the video and its JSON"},
          {.identity = kNone}),
      row("output_options.codec",
          name(output_option(&OutputOptions::codec), "`h264`, `hevc`, `av1`, `prores` (.mov), `ffv1` (.mkv)"),
          "How frames are encoded", {{"--codec"}, kOutput, "NAME"}, {.default_words = "by the output's ending"}),
      row("output_options.pixel_format",
          name(output_option(&OutputOptions::pixel_format), "`yuv420p`, `yuv420p10le`, `yuv422p10le`, `yuv444p`"),
          "Bits and chroma of the encoded frames; more than 8 bits come from the decoder's floats",
          {{"--pixel-format"}, kOutput, "NAME"}, {.default_words = "the codec's"}),
      row("output_options.audio", file(output_option(&OutputOptions::audio), kInputFile),
          "Sound from this file, cut or padded to the video",
          {.names = {"--audio"}, .group = kOutput, .type = "FILE", .also_called = {"music", "sound", "audio-path"}},
          {.identity = kChecksum}),
      row("output_options.tee", tee(),
          "Also send the video there while it is made: rtmp://, srt://, udp://, rtsp://, or a file such as "
          "NAME.ts; the option may be repeated",
          {{"--tee"}, kOutput, "URL", "", "", collect_words, spread_words}, {.identity = kNone}),
      row("encoder.preset", name(encoder(&EncoderSettings::preset), "`ultrafast` to `veryslow`"),
          "Speed of the encoders of H.264, HEVC and AV1"),
      row("encoder.crf", integer(encoder(&EncoderSettings::crf), 0, 51),
          "Constant rate factor of H.264, HEVC and AV1, 0 being the best", {.also_called = {"quality", "q"}}),
      row("encoder.threads", integer(encoder(&EncoderSettings::threads), 1, 64),
          "Threads of the encoder; the bytes of the video depend on it"),
  };
}

/// Which model renders, and how this machine runs it.
std::vector<Setting> machine_settings() {
  return {
      row("model", model(), "The model that renders",
          {.names = {"-m,--model"},
           .group = kModel,
           .type = "PATH",
           .also_called = {"model-path", "model-id", "checkpoint", "checkpoint-path", "ckpt", "ckpt-dir", "ckpt-path",
                           "pretrained-model-name-or-path"}},
          {.identity = kResolved, .default_words = "demo"}),
      row("lora", lora(),
          "Adapters (LoRA) on top of those of the model file, merged when it is loaded; the option may be repeated",
          {{"--lora"},
           kModel,
           "FILE[=SCALE]",
           "",
           "",
           collect_words,
           spread_loras,
           {"lora-scale", "lora-weight", "lora-strength", "lora-path", "lora-weights", "loras", "adapter"}},
          {.identity = kResolved}),
      row("device", name(field(&RenderConfig::device), "`auto` (the first GPU, else the CPU), `cpu`, `cuda`, `cuda:N`"),
          "Where the model runs; several devices compute one video together: `cuda:0,1`, or `cpu:0,1` for processes",
          {.names = {"--device"},
           .group = kModel,
           .type = "auto|cpu|cuda|cuda:N",
           .also_called = {"gpu", "gpus", "gpu-id", "cuda", "cpu", "num-gpus"}},
          {.identity = kResolved, .belongs_to_model = true}),
      row("devices_per_video", integer(field(&RenderConfig::devices_per_video), 1, 64),
          "Devices that compute one video together, from `device` on, unless it names several; on the CPU, processes",
          {}, {.identity = kResolved, .belongs_to_model = true}),
      row("decoder_device",
          name(field(&RenderConfig::decoder_device),
               "`auto` (that of the model, the first of several), `cpu`, `cuda:N`"),
          "Where the VAE decodes: on a GPU of its own, decoding takes nothing from the transformer",
          {{"--decoder-device"}, kModel, "auto|cpu|cuda:N"}, {.identity = kResolved, .belongs_to_model = true}),
      row("dtype", name(field(&RenderConfig::dtype), "`auto` (bfloat16 where it is fast), `float32`, `bfloat16`"),
          "Type of weights and activations",
          {.names = {"--dtype"},
           .group = kModel,
           .type = "auto|float32|bfloat16",
           .also_called = {"fp16", "bf16", "fp32", "half", "float16", "torch-dtype", "weight-dtype"}},
          {.identity = kResolved, .belongs_to_model = true}),
      row("precision.linears",
          choice(field(&RenderConfig::precision, &PrecisionConfig::linears), parse_linear_precision),
          "Arithmetic of the transformer's linears: native is dtype; int8 halves their weights, and is faster on "
          "Hopper GPUs only",
          {.names = {"--precision"},
           .group = kModel,
           .type = "native|int8",
           .help = "Arithmetic of linears, attention, KV cache and decoder, all keys `precision.*` at once",
           .also_called = {"quantize", "quantization", "quant", "fp8", "int8", "load-in-8bit"}},
          {.belongs_to_model = true, .stands_for_group = true}),
      row("precision.internal", choice(attention(&AttentionConfig::internal), parse_attention_precision),
          "Arithmetic of internal attention where there are earlier frame blocks, in flashblock mode: native is dtype; "
          "int8 is faster on Hopper GPUs only, with heads of width 128",
          {}, {.stands_for_group = true}),
      row("precision.external", choice(attention(&AttentionConfig::external), parse_attention_precision),
          "The same of external attention; mean keys and attention to selected keys are native", {},
          {.stands_for_group = true}),
      row("precision.kv_cache", choice(attention(&AttentionConfig::kv_cache), parse_attention_precision),
          "How keys and values of recent latent frames are kept: native is dtype; int8 halves their memory in "
          "bfloat16",
          {}, {.stands_for_group = true}),
      row("precision.decoder",
          choice(field(&RenderConfig::precision, &PrecisionConfig::decoder), parse_decoder_precision),
          "Arithmetic of the convolutions after a norm in the full VAE's decoder: native is dtype; int8 is faster on "
          "Hopper GPUs with bfloat16 and widths of Wan2.1 only. Small decoders are native",
          {}, {.belongs_to_model = true, .stands_for_group = true}),
      row("precision.calibration", file(field(&RenderConfig::precision, &PrecisionConfig::calibration), kInputFile),
          "Of int8 linears: the file that `flashblock calibrate` wrote for this model", {},
          {.identity = kChecksum, .belongs_to_model = true, .is_in_use = has_int8_linears}),
      row("cache", boolean(field(&RenderConfig::cache)),
          "Keep encoded prompts and checksums of weights in the user's cache folder",
          {{"--no-cache"}, kModel, "", "false", "Do not cache encoded prompts and checksums of weights"},
          {.identity = kNone, .belongs_to_model = true}),
      row("offload", boolean(field(&RenderConfig::offload)),
          "Keep the transformer's layers in host memory and only two of them at a time in the device's",
          {.names = {"--offload"},
           .group = kModel,
           .value = "true",
           .also_called = {"lowvram", "medvram", "low-vram", "cpu-offload", "offload-model", "enable-cpu-offload"}},
          {.identity = kNone, .belongs_to_model = true}),
      row("overlap", boolean(field(&RenderConfig::overlap)),
          "Decode and write a frame block while the next one is denoised", {}, {.identity = kNone}),
  };
}

/// How the external attention is obtained.
std::vector<Setting> attention_settings() {
  return {
      row("attention.mode", choice(attention(&AttentionConfig::mode), parse_attention_mode),
          "External attention: exact computes it in every pass, flashblock reuses it as attention.refresh says",
          {{"--attention"}, "Attention", "exact|flashblock"}, {.stands_for_group = true}),
      row("attention.refresh", choice(attention(&AttentionConfig::refresh), parse_refresh_policy),
          "When the external attention is refreshed"),
      row("attention.gate", gate(), "Of published_gate, which needs it: the table of heads to refresh", {},
          {.identity = kChecksum, .is_in_use = policy_reads("attention.gate")}),
      row("attention.interval", integer(attention(&AttentionConfig::interval), 1, 1000),
          "Of every_nth: passes from one refresh to the next", {}, {.is_in_use = policy_reads("attention.interval")}),
      row("attention.bound", number(attention(&AttentionConfig::bound), 0, 1000),
          "Of error_bound: a head is refreshed when reusing it would be off by more than this part of an average "
          "head's output",
          {}, {.is_in_use = policy_reads("attention.bound")}),
      row("attention.correction", choice(attention(&AttentionConfig::correction), parse_correction),
          "Correction of a reused state: with mean_key its log-sum-exp follows the queries to first order"),
      row("attention.density", number(attention(&AttentionConfig::density), 0, 1),
          "Sparse attention: part of the external keys that every pass attends to, 0 being off; not with error_bound "
          "and published_gate",
          {}, {.is_in_use = is_sparse}),
      row("attention.residual", choice(attention(&AttentionConfig::residual), parse_residual),
          "Of sparse attention: the other external keys are cached as refresh says, or dropped", {},
          {.is_in_use = is_sparse}),
  };
}

/// How videos are sampled. The model file gives these keys, a render configuration may change them.
std::vector<Setting> recipe_settings() {
  return {
      row("recipe.frames_per_block", integer(recipe(&Recipe::frames_per_block), 1, 1000),
          "Latent frames denoised together"),
      row("recipe.independent_first_frame", boolean(recipe(&Recipe::independent_first_frame)),
          "The first latent frame is a frame block by itself; with it `image` works for models that denoise several "
          "frames together"),
      row("recipe.window_frames", window_frames(),
          "Latent frames attended to, the block and the sink included; -1: all"),
      row("recipe.sink_frames", integer(recipe(&Recipe::sink_frames), 0, kMostFrames),
          "First latent frames of the video, which are never evicted"),
      row("recipe.position_frames", integer(recipe(&Recipe::position_frames), 1, kMostFrames),
          "Positions in time that the model knows; a sink further away than that moves along. Never less than the "
          "window"),
      row("recipe.context_rule", choice(recipe(&Recipe::context_rule), parse_context_rule),
          "What frame blocks attend to: window is the window and its sink; the others change the sink, add a bank of "
          "earlier frames, or compute the context again, for models that were trained so"),
      row("recipe.sink_decay", number(recipe(&Recipe::sink_decay), 0, 1),
          "Of ema_sink: share of the sink that stays when a block that leaves the window is averaged into it", {},
          {.is_in_use = rule_reads("recipe.sink_decay")}),
      row("recipe.bank_frames", integer(recipe(&Recipe::bank_frames), 1, 1000),
          "Of memory_bank: latent frames in the bank", {}, {.is_in_use = rule_reads("recipe.bank_frames")}),
      row("recipe.bank_interval", integer(recipe(&Recipe::bank_interval), 1, 1000),
          "Of memory_bank: frame blocks from one candidate for the bank to the next", {},
          {.is_in_use = rule_reads("recipe.bank_interval")}),
      row("recipe.bank_latest_block", boolean(recipe(&Recipe::bank_latest_block)),
          "Of memory_bank: the candidate is of the latest frame block, whatever the interval", {},
          {.is_in_use = rule_reads("recipe.bank_latest_block")}),
      row("recipe.image_in_first_block", boolean(recipe(&Recipe::image_in_first_block)),
          "An image is the first latent frame of the first frame block, given in all its passes, and not a block "
          "before "
          "it"),
      row("recipe.shot_offset_frames", integer(recipe(&Recipe::shot_offset_frames), 0, 1000),
          "Latent frames that a cut between shots adds to the distance of all that was before; 0: the model has no "
          "shots"),
      row("recipe.timestep_shift", positive_number(recipe(&Recipe::timestep_shift)),
          "Shift of the noise schedule towards noise: sigma = shift s / (1 + (shift - 1) s)",
          {.also_called = {"shift", "flow-shift", "sample-shift"}}),
      row("recipe.steps", steps(), "Timesteps of a frame block's denoising passes; a last step of 0 is left out",
          {.also_called = {"steps", "num-steps", "sample-steps", "sampling-steps", "infer-steps", "num-inference-steps",
                           "inference-steps", "denoising-steps", "denoising-step-list"}}),
      row("recipe.first_steps", first_steps(),
          "Timesteps of the first frame block, which models of one or two steps need; empty: those of `steps`", {},
          {.written_if_empty = true}),
      row("recipe.warp_steps", boolean(recipe(&Recipe::warp_steps)),
          "Whether steps are positions in the shifted schedule (750 is timestep 937.5 at shift 5), which must be whole "
          "numbers, or timesteps"),
      row("recipe.context_noise", number(recipe(&Recipe::context_noise), 0, 1000),
          "Timestep of the clean pass, which stores the keys and values of a finished block"),
      row("recipe.kv_recache", boolean(recipe(&Recipe::kv_recache)),
          "At a prompt change, compute the cached keys and values again under the new prompt; off for models that were "
          "trained without"),
      row("recipe.guidance_scale", number(recipe(&Recipe::guidance_scale), 0, 100),
          "Classifier-free guidance; 1: none, one model call a step instead of two",
          {.names = {"--guidance-scale"},
           .group = kPrompt,
           .type = "S",
           .also_called = {"cfg", "cfg-scale", "guidance", "guide-scale", "sample-guide-scale", "scale"}}),
      row("recipe.negative_prompt", text(recipe(&Recipe::negative_prompt)),
          "What guidance leads away from, where guidance_scale is not 1",
          {.names = {"--negative-prompt"},
           .group = kPrompt,
           .type = "TEXT",
           .also_called = {"negative", "neg-prompt", "n-prompt", "uncond-prompt", "sample-neg-prompt"}},
          {.secret = true, .written_if_empty = true}),
      row("recipe.unipc_steps", integer(recipe(&Recipe::unipc_steps), 0, 1000),
          "Steps of the UniPC solver, for models that were not distilled to a few steps; 0: `steps` are used",
          {.also_called = {"steps", "num-steps", "sample-steps", "sampling-steps", "infer-steps", "num-inference-steps",
                           "inference-steps"}}),
  };
}

std::vector<Setting>& rows() {
  static std::vector<Setting> all = [] {
    std::vector<Setting> rows = video_settings();
    for (auto group : {output_settings(), machine_settings(), attention_settings(), recipe_settings()}) {
      rows.insert(rows.end(), group.begin(), group.end());
    }
    return rows;
  }();
  return all;
}

}  // namespace

const std::vector<Setting>& settings_table() { return rows(); }

const Setting* find_setting(const std::string& name) {
  for (const Setting& setting : rows()) {
    if (setting.name == name) return &setting;
  }
  return nullptr;
}

std::pair<std::string, std::string> split_key(const std::string& name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos) return {"", name};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

bool is_empty(const SettingValue& value) {
  return value.is_null() || (value.is_string() && value.get_ref<const std::string&>().empty()) ||
         (value.is_array() && value.empty());
}

bool is_written(const Setting& setting, const SettingValue& value, const RenderConfig& config) {
  if (value.is_null() || (setting.traits.is_in_use && !setting.traits.is_in_use(config))) return false;
  const bool withheld = setting.traits.secret && !config.metadata;
  return !is_empty(value) || (setting.traits.written_if_empty && !withheld);
}

std::string default_words(const Setting& setting) {
  if (!setting.traits.default_words.empty()) return setting.traits.default_words;
  const SettingValue value = setting.field.write(RenderConfig());
  if (is_empty(value)) return "";
  return value.is_string() ? value.get<std::string>() : json_line(value);
}

AddedSetting::AddedSetting(Setting setting) { rows().push_back(std::move(setting)); }
AddedSetting::~AddedSetting() { rows().pop_back(); }

}  // namespace flashblock
