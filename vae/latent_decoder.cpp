#include "vae/latent_decoder.h"

#include <algorithm>

#include "core/error.h"
#include "vae/taehv_decoder.h"
#include "vae/taehv_super_decoder.h"
#include "vae/vae_weights.h"
#include "vae/wan_decoder.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

std::vector<int64_t> latent_frames_to_restore(const std::vector<LayerMemory>& layers) {
  int64_t rate = 1;  // frames per latent frame
  for (const LayerMemory& layer : layers) rate *= layer.frames_per_frame;
  std::vector<int64_t> result(layers.size());
  int64_t frames = 0;  // of the layer's output, then of its input, that must be exact
  for (size_t i = layers.size(); i-- > 0;) {
    rate /= layers[i].frames_per_frame;
    frames = divide_up(frames, layers[i].frames_per_frame) + layers[i].history_frames;
    result[i] = divide_up(frames, rate);
  }
  return result;
}

int64_t latent_frames_together(int64_t latent_height, int64_t latent_width) {
  constexpr int64_t kSmall = 64 * 36;  // 512x288
  return latent_height * latent_width <= kSmall ? 3 : 1;
}

std::vector<at::Tensor> LatentDecoder::split(const at::Tensor& frames) {
  return frames.split(latent_frames_together(frames.size(1), frames.size(2)));
}

void LatentDecoder::restore(const std::vector<at::Tensor>& calls) {
  reset();
  const std::vector<int64_t> needed = latent_frames_to_restore(layer_memories());
  int64_t left = 0;  // latent frames from here to the last one decoded
  for (const at::Tensor& call : calls) left += call.size(1);
  Place place = Place::kStart;
  for (const at::Tensor& call : calls) {
    if (left - call.size(1) >= needed.front()) {
      left -= call.size(1);
      place = Place::kLater;
      continue;
    }
    for (const at::Tensor& frames : split(to_frames(call))) {
      left -= frames.size(0);
      const auto layers = std::count_if(needed.begin(), needed.end(), [&](int64_t latest) { return left < latest; });
      if (layers > 0) fill_history(frames, static_cast<size_t>(layers), place);
      place = Place::kLater;
    }
  }
}

at::Tensor LatentDecoder::decode(const at::Tensor& latents) { return decode_unclamped(latents).clamp_(0.0, 1.0); }

at::Tensor LatentDecoder::finish(const HalfDecoded& half) { return finish_unclamped(half).clamp_(0.0, 1.0); }

std::unique_ptr<LatentDecoder> load_latent_decoder(const WeightStore& store, at::Device device, at::ScalarType dtype,
                                                   DecoderPrecision precision) {
  switch (store.contains("decoder.conv1.weight") ? VaeNetwork::kWan : read_vae_layout(store).network) {
    case VaeNetwork::kTaehv:
      return std::make_unique<TaehvDecoder>(store, device, dtype);
    case VaeNetwork::kTaehvSuper:
      return std::make_unique<TaehvSuperDecoder>(store, device, dtype);
    case VaeNetwork::kWan:
      break;
  }
  return std::make_unique<WanDecoder>(load_decoder_weights(store, device), dtype, precision);
}

}  // namespace flashblock
