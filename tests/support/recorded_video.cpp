#include "tests/support/recorded_video.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>

#include "pipeline/context_rule.h"
#include "tests/support/temporary_folder.h"

namespace flashblock::testing {

at::Tensor KeepingSink::latents() const {
  std::vector<at::Tensor> all;
  for (const RenderedBlock& block : blocks) all.push_back(block.latents);
  return at::cat(all, 1);
}

at::Tensor KeepingSink::pixels() const {
  std::vector<at::Tensor> all;
  for (const RenderedBlock& block : blocks) all.push_back(block.pixels);
  return at::cat(all, 0);
}

at::Tensor KeepingSink::rgb() const {
  std::vector<at::Tensor> all;
  for (const RenderedBlock& block : blocks) all.push_back(block.rgb);
  return at::cat(all, 0);
}

RecordedVideo::RecordedVideo(const std::string& name, at::Device device)
    : data(parity_data(name)), config_(parity_config(*data)), device_(device) {
  const TransformerConfig transformer = transformer_config_from_json(config_.dump(), name);
  use_transformer(*formula_store(recorded_transformer_shapes(config_)));
  const auto vae = formula_store(recorded_vae_shapes(parity_config(*data, "vae")));
  use_decoder(*vae);

  const VaeStrides strides = published_strides(transformer.in_channels);
  options.geometry = {.width = config_.at("latent_width").get<int64_t>() * strides.width,
                      .height = config_.at("latent_height").get<int64_t>() * strides.height,
                      .strides = strides,
                      .patch = transformer.patch};
  options.recipe = {.frames_per_block = config_.at("num_frame_per_block"),
                    .window_frames = config_.at("local_attn_size"),
                    .sink_frames = config_.at("sink_size"),
                    .position_frames = config_.value("position_frames", Recipe{}.position_frames),
                    .context_rule = parse_context_rule(config_.value("context_rule", "window")),
                    .sink_decay = config_.value("sink_decay", Recipe{}.sink_decay),
                    .bank_frames = config_.value("bank_frames", Recipe{}.bank_frames),
                    .bank_interval = config_.value("bank_interval", Recipe{}.bank_interval),
                    .bank_latest_block = config_.value("bank_latest_block", false),
                    .image_in_first_block = config_.value("image_in_first_block", false),
                    .shot_offset_frames = config_.value("shot_offset_frames", 0),
                    .timestep_shift = config_.at("timestep_shift"),
                    .steps = config_.at("denoising_step_list"),
                    .warp_steps = config_.at("warp_denoising_step"),
                    .context_noise = config_.at("context_noise"),
                    .kv_recache = config_.value("kv_recache", true),
                    .unipc_steps = config_.value("unipc_steps", 0)};
  options.attention.mode = AttentionConfig::Mode::kExact;
  options.keep_pixels = true;
  options.device = device;
  if (options.recipe.context_rule->encodes_frames()) options.encoder = load_latent_encoder(*vae, device, at::kFloat);

  const TemporaryFolder folder;
  const Replay replay(whole_parity_file(name, folder.path()));
  inputs.prompts = replay.prompts();
  for (auto& prompt : inputs.prompts) prompt.embedding = prompt.embedding.to(device);
  inputs.shots = replay.shots();
  inputs.initial_latents = replay.initial_latents();
  inputs.noise = replay.noise_source(std::make_shared<SeededNoise>(0));
  const int64_t start = inputs.initial_latents.defined() ? inputs.initial_latents.size(1) : 0;
  const int64_t given = options.recipe.image_in_first_block ? start : 0;
  plan = VideoPlan::for_noise(options.geometry, start - given, options.recipe.frames_per_block, replay.noise().size(1));
  plan.given_frames = given;
}

RenderCounts RecordedVideo::render(FrameSink& sink, const SessionInputs& other_inputs, const std::stop_token& stop,
                                   const FinishedPart& finished) {
  RenderSession session(transformer_, decoder_, options, profile);
  SessionResult result = session.render(plan, other_inputs, sink, stop, finished);
  live_prompts = std::move(result.live_prompts);
  return result.counts;
}

void RecordedVideo::use_transformer(const WeightStore& weights) {
  TransformerConfig transformer = transformer_config_from_json(config_.dump(), "video");
  transformer.clean_pass_weights = config_.value("dual_full_expert", false);
  transformer_ = VideoTransformer::load(weights, transformer, device_, at::kFloat);
}

void RecordedVideo::use_decoder(const WeightStore& weights) {
  decoder_ = load_latent_decoder(weights, device_, at::kFloat);
}

at::Tensor RecordedVideo::other_prompt() const {
  return formula_data("another prompt", inputs.prompts.front().embedding.sizes().vec(), 1.0);
}

void change_prompts(RecordedVideo& video) {
  const EncodedPrompt first = video.inputs.prompts.front();
  video.inputs.prompts.push_back({.first_block = 1, .embedding = video.other_prompt()});
  video.inputs.prompts.push_back({.first_block = 2, .embedding = first.embedding * 0.5});
}

void guide(RecordedVideo& video) {
  video.options.recipe.guidance_scale = 3;
  video.inputs.negative_embedding = video.other_prompt();
}

}  // namespace flashblock::testing
