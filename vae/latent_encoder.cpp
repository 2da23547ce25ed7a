#include "vae/latent_encoder.h"

#include "core/error.h"
#include "core/weight_store.h"
#include "vae/vae_weights.h"
#include "vae/wan_encoder.h"

namespace flashblock {

std::unique_ptr<LatentEncoder> load_latent_encoder(const WeightStore& store, at::Device device, at::ScalarType dtype) {
  if (store.contains("encoder.conv1.weight"))
    return std::make_unique<WanEncoder>(load_encoder_weights(store, device), dtype);
  throw WeightsError(
      store.path().string() +
      ": no video encoder; expected tensor encoder.conv1.weight, as in Wan2.1_VAE.pth. A film can start from "
      "a picture or another film only with such a file as `vae` in the model file");
}

}  // namespace flashblock
