// All random numbers of a video.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <future>
#include <optional>
#include <vector>

namespace flashblock {

/// The source of a video's noise: drawn (SeededNoise) or recorded (Replay).
class NoiseSource {
 public:
  virtual ~NoiseSource() = default;

  /// Noise of frame block `frame_block`, counted from 0. Draw 0 is the block's initial noise; draw j > 0 is
  /// mixed in after denoising step j - 1.
  /// Returns: `shape`, float32 on the CPU, contiguous, owned by the caller.
  virtual at::Tensor noise(int64_t frame_block, int64_t draw, at::IntArrayRef shape) const = 0;

  /// If all draws are those of SeededNoise: its seed.
  virtual std::optional<uint64_t> seed() const { return {}; }
};

/// Standard normal noise as a pure function of seed, frame block, draw and position: independent of
/// the device and the length of the video, so that a longer video with the same seed begins the same.
///
/// Numbers 4i to 4i + 3 come from Philox4x32-10 with the seed as key and the counter (i low, i high, draw,
/// frame_block), mapped to normals by Box-Muller in float32. Source: Salmon et al. 2011, "Parallel random numbers: as
/// easy as 1, 2, 3", section 3.3; Box and Muller 1958. Thread safety: no state.
class SeededNoise : public NoiseSource {
 public:
  explicit SeededNoise(uint64_t seed) : seed_(seed) {}

  at::Tensor noise(int64_t frame_block, int64_t draw, at::IntArrayRef shape) const override;
  std::optional<uint64_t> seed() const override { return seed_; }

 private:
  uint64_t seed_;
};

/// The draws of one frame block of another source, in order. With the first one all others begin, on threads of their
/// own: a draw of 832x480 takes up to 10 ms of a processor, as long as a short pass on several GPUs.
class NoiseAhead : public NoiseSource {
 public:
  /// `draws`: of the block; no more are made. `source` must outlive this; any number of threads call it.
  NoiseAhead(const NoiseSource& source, int64_t draws) : source_(source), draws_(draws) {}

  at::Tensor noise(int64_t frame_block, int64_t draw, at::IntArrayRef shape) const override;

 private:
  const NoiseSource& source_;
  int64_t draws_;
  mutable std::vector<std::future<at::Tensor>> later_;  // their ends are waited for by their destructors
};

}  // namespace flashblock
