// Tensor lists of Wan VAE decoders of any widths and depths.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/formula_checkpoint.h"

namespace flashblock::testing {

/// `conv2` and `decoder.*`; `widths` from the smallest frames to the largest, `blocks` residual blocks at each.
/// Source: Self-Forcing wan/modules/vae.py, Decoder3d: upsamplers halve the channels.
inline std::vector<NamedShape> decoder_shapes(const std::vector<int64_t>& widths, int64_t blocks) {
  std::vector<NamedShape> shapes;
  const auto conv = [&](const std::string& name, std::vector<int64_t> shape) {
    shapes.push_back({name + ".bias", {shape[0]}});
    shapes.push_back({name + ".weight", std::move(shape)});
  };
  const auto residual = [&](const std::string& name, int64_t in, int64_t out) {
    shapes.push_back({name + ".residual.0.gamma", {in, 1, 1, 1}});
    conv(name + ".residual.2", {out, in, 3, 3, 3});
    shapes.push_back({name + ".residual.3.gamma", {out, 1, 1, 1}});
    conv(name + ".residual.6", {out, out, 3, 3, 3});
    if (in != out) conv(name + ".shortcut", {out, in, 1, 1, 1});
  };
  int64_t channels = widths[0], index = 0;
  conv("conv2", {16, 16, 1, 1, 1});
  conv("decoder.conv1", {channels, 16, 3, 3, 3});
  residual("decoder.middle.0", channels, channels);
  shapes.push_back({"decoder.middle.1.norm.gamma", {channels, 1, 1}});
  conv("decoder.middle.1.to_qkv", {3 * channels, channels, 1, 1});
  conv("decoder.middle.1.proj", {channels, channels, 1, 1});
  residual("decoder.middle.2", channels, channels);
  for (size_t level = 0; level < widths.size(); ++level) {
    for (int64_t block = 0; block < blocks; ++block, channels = widths[level])
      residual("decoder.upsamples." + std::to_string(index++), channels, widths[level]);
    if (level + 1 == widths.size()) break;
    const std::string name = "decoder.upsamples." + std::to_string(index++);
    conv(name + ".resample.1", {channels / 2, channels, 3, 3});
    if (level < 2) conv(name + ".time_conv", {2 * channels, channels, 3, 1, 1});
    channels /= 2;
  }
  shapes.push_back({"decoder.head.0.gamma", {channels, 1, 1, 1}});
  conv("decoder.head.2", {3, channels, 3, 3, 3});
  return shapes;
}

}  // namespace flashblock::testing
