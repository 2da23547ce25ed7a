#include "weights/vae_layout.h"

#include <optional>
#include <vector>

#include "core/error.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

constexpr int64_t kColours = 3, kWan21Channels = 16, kWan22Channels = 48;
constexpr const char* kLastTinyConvolution = "decoder.22.weight";

[[noreturn]] void refuse(const WeightStore& store, const std::string& found) {
  throw WeightsError(store.path().string() + ": " + found);
}

/// Size `axis` of a convolution's weight of `rank` dimensions.
int64_t size_of(const WeightStore& store, const std::string& name, size_t rank, size_t axis) {
  const std::vector<int64_t> shape = store.shape(name);
  if (shape.size() != rank)
    refuse(store, "tensor " + name + " has rank " + std::to_string(shape.size()) +
                      "; a VAE has a convolution of rank " + std::to_string(rank) + " there");
  return shape[axis];
}

/// Pixels in each direction that a head of so many planes gives.
int64_t patch_of(const WeightStore& store, const std::string& name, int64_t planes) {
  if (planes == kColours) return 1;
  if (planes == 4 * kColours) return 2;
  refuse(store, name + " has " + std::to_string(planes) + " channels of pixels, wanted 3, or 12 for patches of 2x2");
}

VaeLayout wan_layout(const WeightStore& store) {
  VaeLayout layout;
  const bool decodes = store.contains("decoder.conv1.weight");
  layout.latent_channels = decodes ? size_of(store, "decoder.conv1.weight", 5, 1)
                                   : size_of(store, "encoder.head.2.weight", 5, 0) / 2;  // mean and log-variance
  if (layout.latent_channels != kWan21Channels && layout.latent_channels != kWan22Channels)
    refuse(store, "a VAE of " + std::to_string(layout.latent_channels) +
                      " latent channels; those of Wan2.1 (16) and of Wan2.2 (48) are supported");
  const std::string pixels = decodes ? "decoder.head.2.weight" : "encoder.conv1.weight";
  if (!store.contains(pixels)) refuse(store, "has no tensor '" + pixels + "'");
  layout.patch = patch_of(store, pixels, size_of(store, pixels, 5, decodes ? 0 : 1));
  if (decodes) layout.decoder_width = size_of(store, pixels, 5, 1);
  const bool patches = layout.latent_channels == kWan22Channels;
  if (patches && layout.patch != 2) refuse(store, pixels + " has 3 channels of pixels; the VAE of Wan2.2 has 12");
  layout.order = patches ? PlaneOrder::kColumnsFirst : PlaneOrder::kRowsFirst;
  layout.upscale = patches ? 1 : layout.patch;
  return layout;
}

VaeLayout tiny_layout(const WeightStore& store, VaeNetwork network, const std::string& first) {
  VaeLayout layout{.network = network, .latent_channels = size_of(store, first, 4, 1)};
  if (store.contains(kLastTinyConvolution))  // else the loader reports it
    layout.patch = patch_of(store, kLastTinyConvolution, size_of(store, kLastTinyConvolution, 4, 0));
  return layout;
}

}  // namespace

VaeLayout read_vae_layout(const WeightStore& store) {
  if (store.contains("decoder.conv1.weight") || store.contains("encoder.conv1.weight")) return wan_layout(store);
  if (store.contains("decoder.0.weight")) return tiny_layout(store, VaeNetwork::kTaehvSuper, "decoder.0.weight");
  if (store.contains("decoder.1.weight")) return tiny_layout(store, VaeNetwork::kTaehv, "decoder.1.weight");
  refuse(store,
         "no video decoder; expected tensor decoder.conv1.weight (Wan2.1_VAE.pth, Wan2.2_VAE.pth) or decoder.1.weight "
         "(taew2_1.pth, taew2_2.pth); `vae` in the model file must name such a file");
}

}  // namespace flashblock
