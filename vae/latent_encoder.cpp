#include "vae/latent_encoder.h"

#include "core/error.h"
#include "vae/vae_weights.h"
#include "vae/wan_encoder.h"
#include "weights/weight_store.h"

namespace flashblock {

std::unique_ptr<LatentEncoder> load_latent_encoder(const WeightStore& store, at::Device device, at::ScalarType dtype) {
  if (store.contains("encoder.conv1.weight"))
    return std::make_unique<WanEncoder>(load_encoder_weights(store, device), dtype);
  throw WeightsError(
      store.path().string() +
      ": no video encoder; expected tensor encoder.conv1.weight, as in Wan2.1_VAE.pth. A render can start from "
      "an image or a video only if `vae` in the model file names such a file");
}

}  // namespace flashblock
