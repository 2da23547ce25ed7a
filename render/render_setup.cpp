#include "render/render_setup.h"

#include <malloc.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "attention/refresh_policy.h"
#include "core/check.h"
#include "core/device.h"
#include "core/error.h"
#include "core/file_cache.h"
#include "core/file_kind.h"
#include "core/memory_meter.h"
#include "core/plain_text.h"
#include "media/image_reader.h"
#include "media/video_reader.h"
#include "models/tokenizer.h"
#include "pipeline/context_rule.h"
#include "render/choices.h"
#include "render/expansion.h"
#include "render/precision_text.h"
#include "render/timeline_text.h"

namespace flashblock {
namespace {

/// Latent frames of a given video that are used if the model's window is unlimited: the training length of published
/// models. Source: Self-Forcing `configs/default_config.yaml`, 21 latent frames.
constexpr int64_t kStartFrames = 21;

void take_size_from_noise(RenderSetup& setup, const TransformerConfig& model) {
  const at::Tensor& noise = setup.replay->noise();
  const PatchSize& patch = model.patch;
  if (noise.size(2) != model.in_channels || noise.size(3) % patch.height != 0 || noise.size(4) % patch.width != 0)
    throw ConfigError(setup.config.replay.string() + ": noise has shape " + c10::str(noise.sizes()) + ", wanted [1, " +
                          "frames, " + std::to_string(model.in_channels) + ", height, width], a height that is a " +
                          "multiple of " + std::to_string(patch.height) + " and a width of " +
                          std::to_string(patch.width) + ": the recording is of another model",
                      {.key = "replay"});
  setup.config.height = noise.size(3) * setup.geometry.strides.height;
  setup.config.width = noise.size(4) * setup.geometry.strides.width;
}

int64_t lead_frames(const Recipe& recipe) { return recipe.independent_first_frame ? 1 : 0; }

/// `frames` cut down to whole frame blocks, the lead included; 0 if there is none.
int64_t whole_blocks(const Recipe& recipe, int64_t frames) {
  const int64_t after_lead = frames - lead_frames(recipe);
  return after_lead < 0 ? 0 : after_lead / recipe.frames_per_block * recipe.frames_per_block + lead_frames(recipe);
}

at::Tensor start_from_image(const RenderConfig& config, const VideoGeometry& geometry) {
  if (const KnownFile found = known_file(config.image); found.kind == FileKind::kVideo) {
    throw ConfigError("image " + config.image.string() + " is " + found.words,
                      {.key = "image", .remedies = {{"continue it", "video", ""}}});
  }
  const Recipe& recipe = config.model.recipe;
  if (whole_blocks(recipe, 1) != 1 && !recipe.image_in_first_block) {
    throw ConfigError("image " + config.image.string() + ": an image is one latent frame, and this model denoises " +
                          std::to_string(recipe.frames_per_block) + " together, from the first one on",
                      {.key = "image",
                       .remedies = {{"use a model with recipe.frames_per_block 1 or recipe.independent_first_frame "
                                     "true, or start from a video",
                                     "video", ""}}});
  }
  return read_image(config.image, geometry.encoded_width(), geometry.encoded_height()).unsqueeze(0);
}

/// Frames at the end of the video that the model can see, as whole frame blocks.
at::Tensor start_from_video(const RenderConfig& config, const VideoGeometry& geometry) {
  const std::string where = "video " + config.video.string() + ": ";
  const KnownFile found = known_file(config.video);
  if (found.kind == FileKind::kImage || found.kind == FileKind::kOtherImage) {
    const bool readable = found.kind == FileKind::kImage;
    throw ConfigError(
        "video " + config.video.string() + " is " + found.words,
        {.key = "video",
         .remedies = {{readable ? "start from it" : "convert it to PNG and start from that", "image", ""}}});
  }
  const Recipe& recipe = config.model.recipe;
  const double fps = VideoReader(config.video).info().fps;
  if (std::abs(fps - static_cast<double>(config.fps)) > 0.01) {
    std::ostringstream message;
    message << where << "it has " << fps << " fps, this video " << config.fps
            << "; convert it first (ffmpeg -i FILE -r " << config.fps << " OUT.mp4)";
    throw ConfigError(message.str(), {.key = "video", .remedies = {{"render at its frame rate", "fps", ""}}});
  }
  const int64_t visible = recipe.window_frames < 0 ? kStartFrames : recipe.window_frames - recipe.frames_per_block;
  const int64_t least = recipe.independent_first_frame ? 1 : recipe.frames_per_block;
  const int64_t most = std::max(whole_blocks(recipe, visible), least);
  const at::Tensor clip =
      read_video(config.video, geometry.encoded_width(), geometry.encoded_height(), geometry.frames_of(most));
  const int64_t clip_frames = clip.size(0);
  const int64_t frames = clip_frames == 0 ? 0 : whole_blocks(recipe, 1 + (clip_frames - 1) / geometry.strides.time);
  if (frames == 0) {
    throw ConfigError(where + "it has " + std::to_string(clip_frames) + " frames, and this model needs at least " +
                          std::to_string(geometry.frames_of(least)) + " to continue from: recipe.frames_per_block is " +
                          std::to_string(recipe.frames_per_block),
                      {.key = "video"});
  }
  const int64_t used = geometry.frames_of(frames);
  return clip.narrow(0, clip_frames - used, used);
}

void read_start(RenderSetup& setup) {
  const RenderConfig& config = setup.config;
  const bool recorded = setup.replay && setup.replay->initial_latents().defined();
  if (!config.image.empty() + !config.video.empty() + recorded > 1) {
    throw ConfigError(
        "a video starts from an image, a video or the initial_latent of a replayed recording, not from two",
        {.key = config.image.empty() ? "video" : "image"});
  }
  const int64_t peak = peak_memory_bytes();
  if (!config.image.empty()) setup.start_pixels = start_from_image(config, setup.geometry);
  if (!config.video.empty()) setup.start_pixels = start_from_video(config, setup.geometry);
  if (!setup.start_pixels.defined()) return;
  if (peak_memory_bytes() > peak) setup.start_peak_bytes = peak_memory_bytes();
  ::malloc_trim(0);  // the memory of large frames goes back to the system, in a dry run as in a render
}

/// Latent frames of the start.
int64_t start_frames(const RenderSetup& setup) {
  if (setup.start_pixels.defined()) return setup.geometry.latent_frames_for(setup.start_pixels.size(0));
  return setup.replay && setup.replay->initial_latents().defined() ? setup.replay->initial_latents().size(1) : 0;
}

/// Those that are part of the first rendered block: an image, in models that take it so.
int64_t given_frames(const RenderSetup& setup) {
  const Recipe& recipe = setup.config.model.recipe;
  const int64_t frames = start_frames(setup);
  return recipe.image_in_first_block && frames < recipe.frames_per_block ? frames : 0;
}

/// Those before the first rendered block.
int64_t initial_frames(const RenderSetup& setup) {
  const int64_t frames = start_frames(setup) - given_frames(setup);
  const Recipe& recipe = setup.config.model.recipe;
  if (whole_blocks(recipe, frames) != frames) {
    throw ConfigError(setup.config.replay.string() + ": initial_latent has " + std::to_string(frames) +
                          " latent frames, wanted a multiple of recipe.frames_per_block, " +
                          std::to_string(recipe.frames_per_block) +
                          (recipe.independent_first_frame ? ", and one for recipe.independent_first_frame" : ""),
                      {.key = "replay"});
  }
  return frames;
}

void plan_video(RenderSetup& setup) {
  const Recipe& recipe = setup.config.model.recipe;
  const int64_t per_block = recipe.frames_per_block, lead = lead_frames(recipe);
  if (setup.replay && setup.replay->noise().defined()) {
    setup.plan =
        VideoPlan::for_noise(setup.geometry, initial_frames(setup), per_block, setup.replay->noise().size(1), lead);
    setup.config.frames = setup.plan.frames - setup.geometry.frames_of(setup.plan.initial_frames);
  } else {
    setup.plan =
        VideoPlan::for_frames(setup.geometry, initial_frames(setup), per_block, setup.config.rendered_frames(), lead);
  }
  setup.plan.given_frames = given_frames(setup);
}

/// Those of the recording, and of the timeline: entries that say so, or whose prompts begin with the words of a cut.
void place_shots(RenderSetup& setup) {
  const RenderConfig& config = setup.config;
  const bool has_shots = config.model.recipe.shot_offset_frames > 0;
  setup.shots = setup.replay ? setup.replay->shots() : std::vector<int64_t>();
  for (const int64_t block : setup.shots) {
    if (block < setup.plan.blocks) continue;
    throw ConfigError(config.replay.string() + ": a shot at frame block " + std::to_string(block) +
                          " comes after the end: the video has " + std::to_string(setup.plan.blocks) + " frame blocks",
                      {.key = "replay"});
  }
  for (size_t i = 0; i < config.timeline.size(); ++i) {
    const PromptChange& change = config.timeline[i];
    const bool said = has_shots && change.prompt.starts_with(kShotPrefix);
    if (change.shot || said) setup.shots.push_back(setup.change_blocks[i]);
  }
  if (!setup.shots.empty() && !has_shots)
    throw ConfigError("shot: " + config.model.name + " has no shots: a prompt changes without a cut",
                      {.key = config.timeline.empty() ? "replay" : "timeline"});
  std::sort(setup.shots.begin(), setup.shots.end());
  setup.shots.erase(std::unique(setup.shots.begin(), setup.shots.end()), setup.shots.end());
}

/// Has the prompts written, if they are to be. Of prompts that fall into one frame block only the first one is kept.
void write_prompts(RenderSetup& setup, TimelineWriter& writer) {
  RenderConfig& config = setup.config;
  if (config.expand.empty() || config.prompt.empty()) return;
  const double fps = static_cast<double>(config.fps);
  Expansion expansion = writer.write(config, static_cast<double>(setup.plan.frames) / fps);
  int64_t last = 0;
  std::erase_if(expansion.timeline, [&](const PromptChange& change) {
    const int64_t block = setup.plan.block_at(change.seconds, config.fps, setup.geometry);
    return std::exchange(last, std::max(block, last)) >= block;
  });
  config.wish = std::exchange(config.prompt, std::move(expansion.prompt));
  config.timeline = std::move(expansion.timeline);
  config.expand.clear();
  setup.warnings = std::move(expansion.warnings);
}

/// What is given and has no effect.
void warn_of_unused_settings(RenderSetup& setup) {
  const Recipe& recipe = setup.config.model.recipe;
  if (recipe.guidance_scale == 1 && !recipe.negative_prompt.empty())
    setup.warnings.emplace_back("recipe.negative_prompt is not used: recipe.guidance_scale is 1, without guidance");
}

void place_prompts(RenderSetup& setup) {
  if (setup.config.prompt.empty() && !(setup.replay && !setup.replay->prompts().empty())) {
    throw ConfigError("there is no prompt", {.key = "prompt", .remedies = {{"describe the video", "prompt", ""}}});
  }
  auto& timeline = setup.config.timeline;
  std::stable_sort(timeline.begin(), timeline.end(),
                   [](const PromptChange& a, const PromptChange& b) { return a.seconds < b.seconds; });
  for (const PromptChange& change : timeline) {
    const int64_t block = setup.plan.block_at(change.seconds, setup.config.fps, setup.geometry);
    const int64_t last = setup.change_blocks.empty() ? 0 : setup.change_blocks.back();
    if (block == 0 && change.shot)
      throw ConfigError("the cut falls into the first frame block, which begins a shot by itself: give a later time",
                        {.key = "timeline"});
    if (block == last) {
      std::ostringstream message;
      message << "the prompt at " << change.seconds << " s falls into frame block " << block
              << ", which already has a prompt; a frame block of this model lasts "
              << static_cast<double>(setup.plan.frames_per_block * setup.geometry.strides.time) /
                     static_cast<double>(setup.config.fps)
              << " s, so give times further apart";
      throw ConfigError(message.str(), {.key = "timeline"});
    }
    setup.change_blocks.push_back(block);
  }
}

/// A start shows what its prompt leaves open, and a recording's prompts are encoded as they were.
void make_choices(RenderSetup& setup) {
  const RenderConfig& config = setup.config;
  if (setup.replay && !setup.replay->prompts().empty()) return;
  if (config.choices) {
    setup.choices = *config.choices;
  } else if (start_frames(setup) == 0) {
    setup.choices = choose_phrases(config.model.choices, without_cut(config.prompt), config.seed.value_or(0));
  }
}

TokenIds encode(const std::string& text, const ModelSizes& model) {
  return model.tokenizer->get().encode(text, model.transformer.text_len);
}

bool fits(const std::string& text, const ModelSizes& model) {
  const TokenIds tokens = encode(text, model);
  return tokens.used_tokens == tokens.prompt_tokens;
}

/// The beginning of a prompt, in whole words if it has several, for which there is room before phrases.
std::string beginning_before(const std::vector<std::string>& phrases, const std::string& prompt,
                             const ModelSizes& model) {
  if (phrases.empty() || !model.tokenizer || fits(with_phrases(prompt, phrases), model)) return prompt;
  size_t fitting = 0, too_long = prompt.size();
  while (too_long - fitting > 1) {
    const size_t middle = (fitting + too_long) / 2;
    const std::string beginning(text_beginning(prompt, middle));
    (fits(with_phrases(beginning, phrases), model) ? fitting : too_long) = middle;
  }
  const size_t space = prompt.find_last_of(" \t\r\n", fitting);
  return space == prompt.npos ? std::string(text_beginning(prompt, fitting)) : prompt.substr(0, space);
}

void check_choices(const RenderSetup& setup) {
  if (setup.choices.empty() || !setup.model.tokenizer) return;
  const TokenIds tokens = encode(with_phrases("", setup.choices), setup.model);
  if (tokens.used_tokens == tokens.prompt_tokens) return;
  throw ConfigError("choices: the phrases have " + std::to_string(tokens.prompt_tokens) +
                        " tokens, and the text encoder takes " + std::to_string(tokens.used_tokens) +
                        ": wanted fewer or shorter ones",
                    {.key = "choices"});
}

void check_replayed_prompts(const RenderSetup& setup) {
  for (const EncodedPrompt& prompt : setup.replay->prompts()) {
    if (prompt.first_block < setup.plan.blocks) continue;
    throw ConfigError(setup.config.replay.string() + ": a prompt for frame block " +
                          std::to_string(prompt.first_block) + " comes after the end: the video has " +
                          std::to_string(setup.plan.blocks) + " frame blocks",
                      {.key = "replay"});
  }
}

void check_context_rule(const RenderSetup& setup) {
  const ContextRule& rule = *setup.config.model.recipe.context_rule;
  if (rule.encodes_frames() && setup.geometry.strides.upscale != 1)
    throw ConfigError("recipe.context_rule: " + to_string(setup.config.model.recipe.context_rule) +
                      " encodes decoded frames, and this decoder gives frames of twice the size: wanted one without "
                      "upscaling in vae");
}

/// None: that of the model.
std::optional<at::Device> decoder_device(const RenderConfig& config) {
  if (config.decoder_device == "auto") return {};
  try {
    return resolve_device(config.decoder_device);
  } catch (const DeviceError& error) {
    throw DeviceError(error.what(), {.key = "decoder_device",
                                     .remedies = {{"decode on the CPU", "decoder_device", "cpu"},
                                                  {"decode where the model runs", "decoder_device", "auto"}}});
  }
}

}  // namespace

std::vector<std::string> prompt_warnings(const ModelDescription& model, const std::string& text) {
  const auto unknown = model.knows.empty() ? std::vector<std::string>() : unknown_words(text, model.knows);
  if (unknown.empty()) return {};
  return {model.name + " was not trained on " + quoted(unknown) +
          (model.about.empty() ? "" : "; it knows " + model.about)};
}

std::vector<TruncatedPrompt> find_truncated_prompts(const std::string& text, double seconds,
                                                    const std::vector<std::string>& phrases, const ModelSizes& model) {
  if (!model.tokenizer || text.empty()) return {};
  TokenIds tokens = encode(text, model);
  const std::string seen = beginning_before(phrases, text, model);
  if (seen.size() < text.size()) {
    tokens.used_tokens = encode(seen, model).prompt_tokens;
    tokens.unseen = model.tokenizer->get().encode(text.substr(seen.size()), 1).unseen;
  }
  if (tokens.used_tokens == tokens.prompt_tokens) return {};
  return {{.key = seconds > 0 ? "timeline" : "prompt",
           .seconds = seconds,
           .tokens = tokens.prompt_tokens,
           .used = tokens.used_tokens,
           .phrases = seen.size() < text.size(),
           .unseen = tokens.unseen}};
}

std::vector<TruncatedPrompt> find_truncated_prompts(const RenderSetup& setup) {
  const RenderConfig& config = setup.config;
  const Recipe& recipe = config.model.recipe;
  std::vector<TruncatedPrompt> truncated;
  const auto add = [&](const std::string& text, double seconds, const std::vector<std::string>& choices) {
    const std::vector<std::string> phrases = left_open(choices, text, config.model.choices);
    for (TruncatedPrompt& prompt : find_truncated_prompts(text, seconds, phrases, setup.model))
      truncated.push_back(std::move(prompt));
  };
  if (!setup.replay || setup.replay->prompts().empty()) {
    add(config.prompt, 0, setup.choices);
    for (const PromptChange& change : config.timeline) add(change.prompt, change.seconds, setup.choices);
  }
  if (recipe.guidance_scale != 1.0 && !(setup.replay && setup.replay->negative_embedding().defined())) {
    const size_t before = truncated.size();
    add(recipe.negative_prompt, 0, {});
    if (truncated.size() > before) truncated.back().key = "negative_prompt";
  }
  return truncated;
}

std::string truncation_warning(const TruncatedPrompt& prompt) {
  std::ostringstream text;
  text << prompt.key;
  if (prompt.seconds > 0) text << " at " << prompt.seconds << " s";
  text << ": the text has " << prompt.tokens << " tokens, and the text encoder takes " << prompt.used
       << (prompt.phrases ? " before the chosen phrases" : "") << ": it does not see the end, which begins '"
       << prompt.unseen << "'";
  return text.str();
}

nlohmann::ordered_json truncation_json(const std::vector<TruncatedPrompt>& prompts, bool metadata) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const TruncatedPrompt& prompt : prompts) {
    list.push_back({{"key", prompt.key}, {"at", prompt.seconds}, {"tokens", prompt.tokens}, {"used", prompt.used}});
    if (metadata) list.back()["unseen"] = prompt.unseen;
  }
  return list;
}

void check_attention(const AttentionConfig& attention, const Recipe& recipe, const TransformerConfig& transformer) {
  validate(attention);
  if (attention.refresh->text().text_only)
    throw ConfigError("attention.refresh: " + to_string(attention.refresh) + " is for text, videos decode no tokens");
  if (attention.mode == AttentionConfig::Mode::kExact) return;
  if (transformer.clean_pass_weights && passes_before_clean(attention, recipe.denoising_passes()) > 0)
    throw ConfigError("attention.refresh: " + to_string(attention.refresh) +
                      " reuses external attention of a denoising pass in the clean pass, which has weights of its own "
                      "in this model; use first_and_clean_pass, or another policy that refreshes it there");
  attention.refresh->check_sizes(
      attention, {.layers = transformer.layers, .heads = transformer.heads, .steps = recipe.denoising_passes()});
}

RenderSetup set_up_render(const RenderConfig& config, const ModelSizes& model) {
  TimelineWriter writer;
  return set_up_render(config, model, writer);
}

RenderSetup set_up_render(const RenderConfig& config, const ModelSizes& model, TimelineWriter& writer) {
  RenderSetup setup{
      .config = config, .model = model, .geometry = {.strides = model.strides, .patch = model.transformer.patch}};
  if (!config.replay.empty()) setup.replay.emplace(config.replay);
  if (setup.replay && setup.replay->noise().defined()) take_size_from_noise(setup, model.transformer);
  setup.geometry.width = setup.config.width;
  setup.geometry.height = setup.config.height;
  setup.geometry.validate();
  check_attention(setup.config.attention, setup.config.model.recipe, model.transformer);
  check_context_rule(setup);
  read_start(setup);
  plan_video(setup);
  write_prompts(setup, writer);
  warn_of_unused_settings(setup);
  place_prompts(setup);
  place_shots(setup);
  make_choices(setup);
  check_choices(setup);
  setup.precision = precision_text(setup.config, model);
  if (setup.replay) {
    check_replayed_prompts(setup);
    setup.replay->check_fits(setup.plan, setup.geometry, model.transformer, setup.config.model.recipe);
  }
  setup.truncated_prompts = find_truncated_prompts(setup);
  for (const TruncatedPrompt& prompt : setup.truncated_prompts) setup.warnings.push_back(truncation_warning(prompt));
  std::string prompts;
  for (const PlannedPrompt& prompt : planned_prompts(setup)) prompts += without_cut(prompt.text) + "\n";
  for (std::string& warning : prompt_warnings(setup.config.model, prompts))
    setup.warnings.push_back(std::move(warning));
  return setup;
}

std::string without_cut(const std::string& prompt) {
  return prompt.starts_with(kShotPrefix) ? prompt.substr(kShotPrefix.size()) : prompt;
}

std::string encoded_text(const RenderSetup& setup, const std::string& prompt) {
  const std::vector<std::string> phrases = left_open(setup.choices, prompt, setup.config.model.choices);
  return with_phrases(beginning_before(phrases, prompt, setup.model), phrases);
}

std::vector<PlannedPrompt> planned_prompts(const RenderSetup& setup) {
  const auto& timeline = setup.config.timeline;
  const std::vector<int64_t>& blocks = setup.change_blocks;
  std::vector<PlannedPrompt> planned = {{.text = setup.config.prompt}};
  for (size_t i = 0; i < timeline.size(); ++i) {
    const bool cut = std::binary_search(setup.shots.begin(), setup.shots.end(), blocks[i]);
    std::string text = cut ? without_cut(timeline[i].prompt) : timeline[i].prompt;
    if (text.empty()) text = without_cut(planned.back().text);  // a cut under the same prompt
    planned.push_back({.block = blocks[i], .text = cut ? std::string(kShotPrefix) + text : text});
    const bool last = blocks[i] + 1 >= setup.plan.blocks;
    const bool replaced = i + 1 < blocks.size() && blocks[i + 1] == blocks[i] + 1;
    if (cut && !last && !replaced) planned.push_back({.block = blocks[i] + 1, .text = text});
  }
  return planned;
}

void place_prompt(RenderSetup& setup, int64_t block, const std::string& prompt) {
  if (block == 0) {
    setup.config.prompt = prompt;
    if (!setup.config.model.choices.empty()) setup.config.choices = setup.choices;
    return;
  }
  std::vector<int64_t>& blocks = setup.change_blocks;
  auto& timeline = setup.config.timeline;
  const auto found = std::lower_bound(blocks.begin(), blocks.end(), block);
  const auto place = timeline.begin() + (found - blocks.begin());
  if (found != blocks.end() && *found == block) {
    *place = {.seconds = place->seconds, .prompt = prompt};
  } else {
    const double seconds = setup.plan.seconds_of(block, setup.config.fps, setup.geometry);
    timeline.insert(place, {.seconds = seconds, .prompt = prompt});
    blocks.insert(found, block);
  }
  place_shots(setup);
}

void end_after(RenderSetup& setup, int64_t blocks, int64_t frames) {
  FB_CHECK(blocks >= 1 && blocks <= setup.plan.blocks);
  setup.plan.blocks = blocks;
  setup.plan.frames = frames;
  setup.config.frames = frames - setup.geometry.frames_of(setup.plan.initial_frames);
  const auto end = std::lower_bound(setup.change_blocks.begin(), setup.change_blocks.end(), blocks);
  setup.config.timeline.resize(static_cast<size_t>(end - setup.change_blocks.begin()));
  setup.change_blocks.erase(end, setup.change_blocks.end());
  std::erase_if(setup.shots, [&](int64_t block) { return block >= blocks; });
}

ModelOptions model_options(const RenderConfig& config) {
  return {.placement = config.offload ? LayerPlacement::kStreamed : LayerPlacement::kResident,
          .linears = config.precision.linears,
          .calibration = config.precision.calibration,
          .decoder = config.precision.decoder,
          .decoder_device = decoder_device(config),
          .embedding_cache = config.cache ? user_cache_folder("embeddings") : std::filesystem::path()};
}

std::vector<ModelPart> needed_parts(const RenderConfig& config) {
  std::vector<ModelPart> parts = {ModelPart::kTransformer, ModelPart::kVae};
  bool tokenize = true, encode = true;
  if (!config.replay.empty()) {
    const Replay replay(config.replay);
    tokenize = replay.prompts().empty();
    encode = tokenize || std::any_of(replay.prompts().begin(), replay.prompts().end(),
                                     [](const EncodedPrompt& prompt) { return !prompt.embedding.defined(); });
    const bool negative = config.model.recipe.guidance_scale != 1.0 && !replay.negative_embedding().defined();
    tokenize = tokenize || negative;
    encode = encode || negative;
  }
  if (tokenize) parts.push_back(ModelPart::kTokenizer);
  if (encode) parts.push_back(ModelPart::kTextEncoder);
  return parts;
}

}  // namespace flashblock
