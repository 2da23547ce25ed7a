#include "render/cost_estimate.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <numeric>

#include "core/memory_meter.h"
#include "media/video_writer.h"
#include "models/text_encoder.h"
#include "pipeline/context_rule.h"
#include "pipeline/render_line.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

// Memory of the program beside tensors, measured on the CPU; see docs/measurements.
/// Code and libraries that are loaded during a render, threads and their buffers.
constexpr int64_t kProgramBytes = 90'000'000;
/// Lookahead and reference frames of the H.264 encoder, in planes of one byte per pixel.
constexpr int64_t kEncoderPlanes = 150;

int64_t sum(const std::vector<MemoryPart>& parts) {
  return std::accumulate(parts.begin(), parts.end(), int64_t{0},
                         [](int64_t total, const MemoryPart& part) { return total + part.bytes; });
}

struct TransformerBytes {
  int64_t layer = 0, ends = 0, largest_tensor = 0;  // as they are computed with; the last one in the model's dtype
};

/// What a layer's linears take less in 8-bit integers, one scale per output channel.
int64_t saved_in_int8(const TransformerConfig& config, int64_t size) {
  const int64_t weights = config.dim * (6 * config.dim + 2 * config.ffn_dim);
  const int64_t channels = 7 * config.dim + config.ffn_dim;
  return (config.clean_pass_weights ? 2 : 1) * (weights * (size - 1) - channels * int64_t{sizeof(float)});
}

TransformerBytes transformer_bytes(const WeightStore& store, const LoadedModel& model) {
  TransformerBytes bytes;
  const auto size = static_cast<int64_t>(c10::elementSize(model.dtype()));
  for (const std::string& name : store.names()) {
    const int64_t tensor = store.numel(name) * size;
    const bool modulation = name.ends_with("modulation");
    if (!name.starts_with("blocks.") || modulation) bytes.ends += tensor;
    if (name.starts_with("blocks.0.") && !modulation) bytes.layer += tensor;
    bytes.largest_tensor = std::max(bytes.largest_tensor, tensor);
  }
  if (model.options().linears == LinearPrecision::kInt8) bytes.layer -= saved_in_int8(model.transformer_config(), size);
  return bytes;
}

/// Keys and values of the text in all layers, and the modulation vectors of each timestep.
int64_t text_and_modulation_bytes(const TransformerConfig& config, const Recipe& recipe, at::ScalarType dtype) {
  return (config.clean_pass_weights ? 2 : 1) * config.layers * config.dim *
         (2 * config.text_len + 6 * (1 + recipe.denoising_passes())) * static_cast<int64_t>(c10::elementSize(dtype));
}

/// One layer of the text encoder, and the part of the file that it is read from.
int64_t text_encoder_bytes(const LoadedModel& model) {
  if (model.description().text_encoder.path.empty()) return 0;
  const auto store = model.open_text_encoder();
  const TextEncoderConfig config = TextEncoderConfig::from_weights(*store);
  const int64_t layer = 4 * config.attention_dim * config.dim + 3 * config.ffn_dim * config.dim;
  const char* largest = "blocks.0.ffn.fc1.weight";
  const at::ScalarType stored = store->dtype(largest);
  const int64_t from_file =
      stored == model.dtype() ? 0 : store->numel(largest) * static_cast<int64_t>(c10::elementSize(stored));
  return layer * static_cast<int64_t>(c10::elementSize(model.dtype())) + from_file;
}

int64_t encoder_bytes(const LoadedModel& model) {
  const auto store = model.open_vae();
  int64_t bytes = 0;
  for (const std::string& name : store->names())
    if (name.starts_with("encoder."))
      bytes += store->numel(name) * static_cast<int64_t>(c10::elementSize(model.dtype()));
  return bytes;
}

/// Adds up the measurements of `probe` and what follows from the sizes of model and video. Reads no weights.
/// `program_bytes`: memory of the program before the probe.
MemoryEstimate estimate_memory(const RenderSetup& setup, const LoadedModel& model, const CostProbe& probe,
                               int64_t program_bytes) {
  const TransformerConfig& config = model.transformer_config();
  const Recipe& recipe = setup.config.model.recipe;
  const bool on_gpu = !model.device().is_cpu(), streamed = model.options().placement == LayerPlacement::kStreamed;
  const int64_t contexts = recipe.guidance_scale == 1.0 ? 1 : 2;
  const TransformerBytes weights = transformer_bytes(*model.open_transformer(), model);
  const int64_t all_layers = weights.layer * config.layers;
  const int64_t layers = streamed ? 2 * weights.layer : all_layers;
  const int64_t state =
      contexts * (probe.layer_state_bytes * config.layers + text_and_modulation_bytes(config, recipe, model.dtype()));
  const bool both = setup.config.overlap;
  std::vector<MemoryPart> tensors = {
      {"weights of the transformer", layers + weights.ends},
      {"keys, values and cached attention", state},
      {"denoising", both ? probe.denoise_bytes : std::max<int64_t>(0, probe.denoise_bytes - probe.decode_bytes)},
      {"weights of the decoder", probe.decoder_bytes + probe.decoder_state_bytes},
      {"decoding", probe.decode_bytes}};
  if (recipe.context_rule->encodes_frames()) tensors.push_back({"weights of the encoder", encoder_bytes(model)});

  MemoryEstimate estimate;
  estimate.host = {{"the program", program_bytes + kProgramBytes},
                   {"the H.264 encoder", kEncoderPlanes * setup.config.width * setup.config.height}};
  // Freed tensors that the C library keeps: about as much again as is in use, since the sizes of tensors vary.
  if (!on_gpu) tensors.push_back({"kept by the allocator", probe.denoise_small_bytes + probe.decode_small_bytes});
  if (on_gpu && streamed) estimate.host.push_back({"layers of the transformer, pinned", all_layers});
  std::vector<MemoryPart>& parts = on_gpu ? estimate.device : estimate.host;
  parts.insert(parts.end(), tensors.begin(), tensors.end());
  // Earlier stages: prompts are encoded with nothing else loaded; weights are read one tensor at a time.
  const int64_t text = text_encoder_bytes(model);
  const int64_t loading = layers + weights.ends + std::max(weights.largest_tensor, probe.decoder_load_bytes);
  const int64_t before = std::max(text, loading);
  const int64_t program = program_bytes + kProgramBytes;
  estimate.host_bytes =
      std::max(sum(estimate.host), program + (on_gpu ? std::max(text, weights.largest_tensor) : before));
  estimate.device_bytes = on_gpu ? std::max(sum(estimate.device), before) : 0;
  return estimate;
}

}  // namespace

double overlapped_seconds(const CostProbe& probe, at::Device device) {
  const int decoders = decoder_stages(device, threads_per_stage(device), probe.decoder_parts);
  const double slowest = std::max(probe.denoise_seconds, probe.decode_seconds / decoders);
  if (!device.is_cpu()) return slowest;
  return std::max(slowest,
                  (probe.denoise_seconds + probe.decode_seconds) / std::min(at::get_num_threads(), 1 + decoders));
}

CostEstimate estimate_cost(const RenderSetup& setup, const LoadedModel& model) {
  const int64_t program_bytes = memory_bytes();
  const CostProbe probe = probe_cost(setup, model);
  const double per_block =
      setup.config.overlap ? overlapped_seconds(probe, model.device()) : probe.denoise_seconds + probe.decode_seconds;
  return {.seconds = per_block * static_cast<double>(setup.plan.blocks + 1),  // one more until the last is written
          .memory = estimate_memory(setup, model, probe, program_bytes),
          .disk_bytes = estimated_bytes(video_format(setup.config), setup.plan.frames)};
}

}  // namespace flashblock
