// One convolution over frames, prepared for the device: oneDNN with packed weights on CPU, cuDNN on CUDA, a matrix
// product for 1x1.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace flashblock {

/// Weights of a convolution as published: weight [Cout, Cin, kh, kw] or [Cout, Cin, kt, kh, kw], bias [Cout] or
/// undefined.
struct ConvWeights {
  at::Tensor weight;
  at::Tensor bias;
};

/// Frames whose bias is not added yet (undefined: none). The next operation adds it in a pass that it makes anyway.
struct BiasedFrames {
  at::Tensor frames;  ///< [T, H, W, C]
  at::Tensor bias;    ///< [C] float32 or undefined
};

/// Strides, and zero padding on every side in space. There is no padding in time: the caller prepends the
/// history.
struct ConvGeometry {
  int64_t time_stride = 1;
  int64_t stride = 1;
  int64_t padding = 0;
};

/// A convolution over frames (note "Frames" in feature_cache.h).
/// Numerics: inputs and output in the compute dtype, accumulated in float32. On CUDA cuDNN's heuristics choose the
/// algorithm, not benchmarks, which would make the bits of a video vary between runs.
class Convolution {
 public:
  Convolution() = default;
  /// Packs float32 weights on the target device in `dtype`.
  Convolution(const ConvWeights& weights, at::ScalarType dtype, ConvGeometry geometry);

  /// Shape: frames [T', H', W', Cin] contiguous; result [T, H, W, Cout], T = (T' - kt) / time_stride + 1.
  at::Tensor forward(const at::Tensor& frames) const;

  /// As forward, but leaves the bias to the next operation where adding it would take a separate pass over memory.
  BiasedFrames forward_biased(const at::Tensor& frames) const;

  /// sum += forward(frames), in place. Shape: sum [T, H, W, Cout] contiguous.
  void add_to(at::Tensor& sum, const at::Tensor& frames) const;

  int64_t time_taps() const { return time_taps_; }
  int64_t out_channels() const { return out_channels_; }

 private:
  enum class Algorithm {
    kMatrixProduct,  ///< 1x1, any device
    kOneDnnFrames,   ///< 2-D oneDNN convolutions, one per tap in time, summed in place
    kOneDnnClip,     ///< one 3-D oneDNN convolution
    kJoinedTaps,     ///< as kPlain, but 2-D: consecutive frames are concatenated along the channels
    kPlain,          ///< cuDNN on CUDA, at::convolution elsewhere
  };
  static Algorithm choose(const at::Tensor& weight, at::ScalarType dtype, ConvGeometry geometry);
  at::Tensor run(const at::Tensor& frames, at::Tensor* sum) const;
  at::Tensor run_matrix_product(const at::Tensor& frames, at::Tensor* sum) const;
  at::Tensor run_onednn_frames(const at::Tensor& frames, at::Tensor* sum) const;
  at::Tensor run_onednn_clip(const at::Tensor& frames, at::Tensor* sum) const;
  at::Tensor run_joined_taps(const at::Tensor& frames) const;
  at::Tensor run_plain(const at::Tensor& frames) const;

  Algorithm algorithm_ = Algorithm::kPlain;
  ConvGeometry geometry_;
  int64_t time_taps_ = 1;
  int64_t out_channels_ = 0;
  std::vector<at::Tensor> weights_;  ///< one per tap in time for kOneDnnFrames, else one
  at::Tensor bias_;                  ///< compute dtype, added by the convolution; undefined on CUDA
  at::Tensor late_bias_;             ///< float32, left to the next operation; CUDA only
};

}  // namespace flashblock
