#include "vae/latent_stats.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>

namespace flashblock {
namespace {

// Source: Self-Forcing `utils/wan_wrapper.py`; the same in Wan2.1 `wan/modules/vae.py`.
constexpr float kMean[LatentStats::kChannels] = {-0.7571f, -0.7089f, -0.9113f, 0.1075f,  -0.1745f, 0.9653f,
                                                 -0.1517f, 1.5508f,  0.4134f,  -0.0715f, 0.5517f,  -0.3632f,
                                                 -0.1922f, -0.9497f, 0.2503f,  -0.2921f};
constexpr float kStd[LatentStats::kChannels] = {2.8184f, 1.4541f, 2.3275f, 2.6558f, 1.2196f, 1.7708f, 2.6052f, 2.0743f,
                                                3.2687f, 2.1526f, 2.8652f, 1.5579f, 1.6382f, 1.1253f, 2.8251f, 1.9160f};

}  // namespace

LatentStats::LatentStats(at::Device device, at::ScalarType dtype) {
  mean_ = at::tensor(at::ArrayRef<float>(kMean)).to(dtype).to(device);
  inverse_std_ = at::tensor(at::ArrayRef<float>(kStd)).to(dtype).reciprocal().to(device);
}

at::Tensor LatentStats::denormalise(const at::Tensor& latents) const { return latents / inverse_std_ + mean_; }

at::Tensor LatentStats::normalise(const at::Tensor& latents) const { return (latents - mean_) * inverse_std_; }

}  // namespace flashblock
