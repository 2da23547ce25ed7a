// What a video VAE is, from the shapes of its tensors: latent channels, strides, order of its output planes.
#pragma once

#include <cstdint>
#include <string>

namespace flashblock {

class WeightStore;

/// Order of the four pixels of a 2x2 patch among the planes of a colour; dy: row, dx: column.
enum class PlaneOrder {
  kRowsFirst,     ///< 2 dy + dx, as PyTorch's pixel_shuffle
  kColumnsFirst,  ///< 2 dx + dy, Wan2.2's patches
};

/// Networks of video decoders.
enum class VaeNetwork {
  kWan,         ///< the VAE of Wan2.1 and of Wan2.2
  kTaehv,       ///< TAEHV: taew2_1, taew2_2
  kTaehvSuper,  ///< taew2_2_super
};

/// A VAE's sizes.
struct VaeLayout {
  VaeNetwork network = VaeNetwork::kWan;
  int64_t latent_channels = 16;
  int64_t patch = 1;          ///< pixels that the head gives per position, in each direction: 1 or 2
  int64_t upscale = 1;        ///< decoded pixels per encoded one, in each direction: 2 for a decoder of twice the size
  int64_t decoder_width = 0;  ///< channels of Wan's decoder in front of its head; 0: another one, or none
  PlaneOrder order = PlaneOrder::kRowsFirst;  ///< of a patch

  /// Pixels of the decoded video per latent, in each direction: 8 without patches.
  int64_t pixel_stride() const { return 8 * patch; }
};

/// Reads the layout of the VAE in a file, by names in Wan's or TAEHV's releases; a file without a decoder counts as one
/// that decodes what its encoder takes. Reads no tensors.
/// Throws: WeightsError if the file holds no VAE, or one of sizes that are not supported.
/// Source: Wan2.2 `wan/modules/vae2_2.py` (48 channels, patches); madebyollin/taehv `taehv.py` (patch_size);
/// spacepxl/ComfyUI-VAE-Utils `nodes.py` (the Wan2.1 decoder with 12 outputs, which doubles the size).
VaeLayout read_vae_layout(const WeightStore& store);

}  // namespace flashblock
