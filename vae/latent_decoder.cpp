#include "vae/latent_decoder.h"

#include "core/error.h"
#include "core/weight_store.h"
#include "vae/taehv_decoder.h"
#include "vae/vae_weights.h"
#include "vae/wan_decoder.h"

namespace flashblock {

at::Tensor LatentDecoder::decode(const at::Tensor& latents) { return decode_unclamped(latents).clamp_(0.0, 1.0); }

std::unique_ptr<LatentDecoder> load_latent_decoder(const WeightStore& store, at::Device device, at::ScalarType dtype) {
  if (store.contains("decoder.conv1.weight"))
    return std::make_unique<WanDecoder>(load_decoder_weights(store, device), dtype);
  if (store.contains("decoder.1.weight")) return std::make_unique<TaehvDecoder>(store, device, dtype);
  throw WeightsError(store.path().string() +
                     ": no video decoder; expected tensor decoder.conv1.weight (Wan2.1_VAE.pth) or decoder.1.weight "
                     "(taew2_1.pth). Name such a file as `vae` in the model file");
}

}  // namespace flashblock
