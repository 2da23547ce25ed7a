// How far the layers of a decoder look back in time, and the latent frames that restore their state.
#pragma once

#include <cstdint>
#include <vector>

namespace flashblock {

/// How far one layer of a decoder looks back in time.
struct LayerMemory {
  int64_t history_frames = 0;    ///< earlier frames of its input that its output depends on
  int64_t frames_per_frame = 1;  ///< output frames per input frame
};

/// For each layer, how many of a video's latest latent frames must pass through it to restore its history and those of
/// all layers after it. Never increases from one layer to the next.
std::vector<int64_t> latent_frames_to_restore(const std::vector<LayerMemory>& layers);

}  // namespace flashblock
