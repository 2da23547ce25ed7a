#include "render/cost_estimate.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "core/device.h"
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

/// The VAE's encoder, the frames of a start, and its work memory: about that of the decoder, which it mirrors.
int64_t start_encoding_bytes(const RenderSetup& setup, const LoadedModel& model, const CostProbe& probe) {
  const int64_t upscale = setup.geometry.strides.upscale;
  return encoder_bytes(model) + static_cast<int64_t>(setup.start_pixels.nbytes()) +
         probe.decode_bytes / (upscale * upscale);
}

/// The largest part of the heads that one of `processes` has.
double largest_share(const TransformerConfig& config, int64_t processes) {
  const int64_t heads = (config.heads + processes - 1) / processes;
  return static_cast<double>(heads) / static_cast<double>(config.heads);
}

/// Tensors of a process, or of a decoder on a device of its own.
struct TensorMemory {
  at::Device device;
  std::vector<MemoryPart> parts;
  int64_t loading = 0;  ///< while weights are read: one tensor at a time
};

/// Of each process, in order of their ranks, then of the decoder, if it is elsewhere. Reads no weights.
std::vector<TensorMemory> tensor_memory(const RenderSetup& setup, const LoadedModel& model, const CostProbe& probe,
                                        const TransformerBytes& weights, const std::vector<at::Device>& devices) {
  const TransformerConfig& config = model.transformer_config();
  const Recipe& recipe = setup.config.model.recipe;
  const auto processes = static_cast<int64_t>(devices.size());
  const auto share = [part = largest_share(config, processes)](int64_t bytes) {
    return static_cast<int64_t>(static_cast<double>(bytes) * part);
  };
  const auto size = static_cast<int64_t>(c10::elementSize(model.dtype()));
  const bool streamed = model.options().placement == LayerPlacement::kStreamed;
  const int64_t all_weights = weights.ends + weights.layer * (streamed ? 2 : config.layers);
  const int64_t contexts = recipe.guidance_scale == 1.0 ? 1 : 2;
  const int64_t state = contexts * (share(probe.layer_state_bytes * config.layers) +
                                    text_and_modulation_bytes(config, recipe, model.dtype()));
  const bool elsewhere = model.decoder_device() != model.device();
  // One after the other, denoising and decoding have the same memory.
  const int64_t lent = elsewhere || setup.config.overlap ? 0 : probe.decode_bytes;
  std::vector<TensorMemory> all;
  for (const at::Device& device : devices) {
    const int64_t denoising = std::max<int64_t>(0, share(probe.denoise_bytes) - (all.empty() ? lent : 0));
    all.push_back({device,
                   {{"weights of the transformer", all_weights},
                    {"keys, values and cached attention", state},
                    {"denoising", denoising}},
                   all_weights + weights.largest_tensor});
    // Queries, keys, values and output of all tokens for the heads of one process.
    const int64_t tokens = setup.geometry.tokens_per_frame() * recipe.frames_per_block;
    if (processes > 1) all.back().parts.push_back({"exchanged with the others", share(4 * tokens * config.dim * size)});
  }
  if (elsewhere) all.push_back({.device = model.decoder_device()});
  TensorMemory& decoder = elsewhere ? all.back() : all.front();
  decoder.loading = std::max(decoder.loading, (elsewhere ? 0 : all_weights) + probe.decoder_load_bytes);
  decoder.parts.push_back({"weights of the decoder", probe.decoder_bytes + probe.decoder_state_bytes});
  decoder.parts.push_back({"decoding", probe.decode_bytes});
  if (recipe.context_rule->encodes_frames())
    all.front().parts.push_back({"weights of the encoder", encoder_bytes(model)});
  // Freed tensors that the C library keeps: about as much again as is in use, since the sizes of tensors vary.
  for (int64_t i = 0; i < std::ssize(all); ++i) {
    TensorMemory& memory = all[static_cast<size_t>(i)];
    const int64_t small =
        (i < processes ? share(probe.denoise_small_bytes) : 0) + (&memory == &decoder ? probe.decode_small_bytes : 0);
    if (memory.device.is_cpu()) memory.parts.push_back({"kept by the allocator", small});
  }
  return all;
}

/// Adds the tensors of one device to what others have there already.
void add_device(std::vector<DeviceMemory>& devices, const TensorMemory& memory) {
  auto found = std::ranges::find(devices, memory.device.str(), &DeviceMemory::name);
  if (found == devices.end()) found = devices.insert(devices.end(), {.name = memory.device.str()});
  found->bytes += memory.loading;
  for (const MemoryPart& part : memory.parts) {
    const auto same = std::ranges::find(found->parts, part.name, &MemoryPart::name);
    if (same == found->parts.end())
      found->parts.push_back(part);
    else
      same->bytes += part.bytes;
  }
}

/// Adds up the measurements of `probe` and what follows from the sizes of model and video. `program_bytes`: memory of
/// the program before the probe.
MemoryEstimate estimate_memory(const RenderSetup& setup, const LoadedModel& model, const CostProbe& probe,
                               const std::vector<at::Device>& devices, int64_t program_bytes) {
  const auto processes = static_cast<int64_t>(devices.size());
  const std::string several = processes > 1 ? ", " + std::to_string(processes) + " processes" : "";
  const int64_t program = processes * (program_bytes + kProgramBytes);
  const TransformerBytes weights = transformer_bytes(*model.open_transformer(), model);
  MemoryEstimate estimate;
  estimate.host = {{"the program" + several, program},
                   {"the H.264 encoder", kEncoderPlanes * setup.config.width * setup.config.height}};
  if (!model.device().is_cpu() && model.options().placement == LayerPlacement::kStreamed)
    estimate.host.push_back(
        {"layers of the transformer, pinned", processes * weights.layer * model.transformer_config().layers});
  int64_t loading_on_host = 0, process = 0;
  for (const TensorMemory& memory : tensor_memory(setup, model, probe, weights, devices)) {
    if (memory.device.is_cpu()) {
      const std::string name = processes > 1 && process < processes ? "cpu:" + std::to_string(process) + ", " : "";
      for (const MemoryPart& part : memory.parts) estimate.host.push_back({name + part.name, part.bytes});
      loading_on_host += memory.loading;
    } else {
      add_device(estimate.devices, memory);
      loading_on_host += process < processes ? weights.largest_tensor : 0;
    }
    ++process;
  }
  // A start is read, then prompts and the start are encoded, with nothing else loaded.
  const int64_t text = text_encoder_bytes(model);
  const int64_t start = setup.start_pixels.defined() ? start_encoding_bytes(setup, model, probe) : 0;
  const int64_t start_on_host = model.device().is_cpu() ? start : 0;
  estimate.host_bytes = std::max(
      {sum(estimate.host), program + std::max({text, loading_on_host, start_on_host}), setup.start_peak_bytes});
  for (DeviceMemory& device : estimate.devices) {
    const int64_t before = device.name == model.device().str() ? std::max({text, start, device.bytes}) : device.bytes;
    device.bytes = std::max(sum(device.parts), before);
  }
  return estimate;
}

}  // namespace

double overlapped_seconds(const CostProbe& probe, at::Device device, at::Device decoder_device) {
  const int decoders = decoder_stages(decoder_device, threads_per_stage(device), probe.decoder_parts);
  const double slowest = std::max(probe.denoise_seconds, probe.decode_seconds / decoders);
  if (!device.is_cpu() || !decoder_device.is_cpu()) return slowest;
  return std::max(slowest,
                  (probe.denoise_seconds + probe.decode_seconds) / std::min(at::get_num_threads(), 1 + decoders));
}

CostEstimate estimate_cost(const RenderSetup& setup, const LoadedModel& model) {
  const int64_t program_bytes = memory_bytes();
  CostProbe probe = probe_cost(setup, model);
  const auto devices = resolve_devices(setup.config.device, setup.config.devices_per_video);
  MemoryEstimate memory = estimate_memory(setup, model, probe, devices, program_bytes);
  if (!model.device().is_cpu())  // processes on the CPU share its cores
    probe.denoise_seconds *= largest_share(model.transformer_config(), std::ssize(devices));
  const double per_block = setup.config.overlap ? overlapped_seconds(probe, model.device(), model.decoder_device())
                                                : probe.denoise_seconds + probe.decode_seconds;
  return {.seconds = per_block * static_cast<double>(setup.plan.blocks + 1),  // one more until the last is written
          .memory = std::move(memory),
          .disk_bytes = estimated_bytes(video_format(setup.config), setup.plan.frames)};
}

}  // namespace flashblock
