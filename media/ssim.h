// Structural similarity of frames or latents.
#pragma once

namespace at {
class Tensor;
}

namespace flashblock {

/// Mean structural similarity of two stacks of planes: 1 for equal ones. Means, variances and covariance are weighted
/// by a Gaussian of 11 x 11 values and deviation 1.5; K1 = 0.01, K2 = 0.03; planes are mirrored at the edges; the
/// result is the mean over all positions and planes. Shape: a and b [P, H, W] float32 on the CPU. `range`: the
/// range of the values, 1 for frames in [0, 1]. Numerics: float32 planes, the mean in float64. Source: Wang, Bovik,
/// Sheikh, Simoncelli 2004, "Image quality assessment: from error visibility to structural similarity", section III.
double ssim(const at::Tensor& a, const at::Tensor& b, double range);

}  // namespace flashblock
