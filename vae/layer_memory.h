// How far the layers of a decoder look back in time, and what follows for taking up a video in its middle.
#pragma once

#include <cstdint>
#include <vector>

namespace flashblock {

/// How a layer of a decoder looks back in time.
struct LayerMemory {
  int64_t history_frames = 0;    ///< frames of its input, before the current one, that its output depends on
  int64_t frames_per_frame = 1;  ///< frames that it makes of each
};

/// For each layer, how many of a video's latest latent frames must pass through it again so that it and all layers
/// behind it remember what they remembered of the whole video. Never grows from one layer to the next.
std::vector<int64_t> latent_frames_to_restore(const std::vector<LayerMemory>& layers);

}  // namespace flashblock
