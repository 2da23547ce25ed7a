#include "vae/frame_ops.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/check.h"
#include "vae/kernels/frame_loops.h"
#ifdef FLASHBLOCK_CUDA
#include "vae/frame_ops_cuda.h"
#endif

namespace flashblock {
namespace {

constexpr int64_t kElementsPerTask = 1 << 15;

void check_frames(const at::Tensor& frames) {
  FB_CHECK(frames.dim() == 4 && frames.is_contiguous(), "frames must be [T, H, W, C] contiguous, found ",
           frames.sizes());
  FB_CHECK(frames.scalar_type() == at::kFloat || frames.scalar_type() == at::kBFloat16, "frames of ",
           frames.scalar_type());
}

void check_vector(const at::Tensor& vector, int64_t channels) {
  FB_CHECK(vector.scalar_type() == at::kFloat && vector.is_contiguous() && vector.numel() == channels, "expected ",
           channels, " float32 values, found ", vector.sizes(), ' ', vector.scalar_type());
}

const float* bias_or_null(const at::Tensor& bias) { return bias.defined() ? bias.const_data_ptr<float>() : nullptr; }

void rms_norm_cpu(const BiasedFrames& frames, const at::Tensor& gamma, Activation activation, const at::Tensor& out) {
  const int64_t channels = frames.frames.size(3), rows = frames.frames.numel() / channels;
  const loops::NormArguments arguments{frames.frames.const_data_ptr(),
                                       bias_or_null(frames.bias),
                                       gamma.const_data_ptr<float>(),
                                       out.data_ptr(),
                                       channels,
                                       activation == Activation::kSilu};
  const auto loop = out.scalar_type() == at::kFloat ? loops::rms_norm_float32 : loops::rms_norm_bfloat16;
  at::parallel_for(0, rows, std::max<int64_t>(1, kElementsPerTask / channels),
                   [&](int64_t begin, int64_t end) { loop(arguments, begin, end); });
}

/// One row of pixels of the doubled frames per step: in each, the source alternates between two phases.
at::Tensor interleave_phases_cpu(const at::Tensor& phases) {
  const int64_t frames = phases.size(0), rows = phases.size(1) - 1, columns = phases.size(2) - 1;
  const size_t pixel_bytes = static_cast<size_t>(phases.size(3) / 4 * phases.element_size());
  at::Tensor result = at::empty({frames, 2 * rows, 2 * columns, phases.size(3) / 4}, phases.options());
  const auto* source = static_cast<const char*>(phases.const_data_ptr());
  auto* target = static_cast<char*>(result.data_ptr());
  at::parallel_for(0, frames * 2 * rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t line = begin; line < end; ++line) {
      const int64_t frame = line / (2 * rows), row = line % (2 * rows) / 2, a = line % 2;
      char* out = target + line * 2 * columns * pixel_bytes;
      const char* in = source + (frame * (rows + 1) + row + a) * (columns + 1) * 4 * pixel_bytes + 2 * a * pixel_bytes;
      for (int64_t column = 0; column < columns; ++column) {
        std::memcpy(out + 2 * column * pixel_bytes, in + column * 4 * pixel_bytes, pixel_bytes);
        std::memcpy(out + (2 * column + 1) * pixel_bytes, in + ((column + 1) * 4 + 1) * pixel_bytes, pixel_bytes);
      }
    }
  });
  return result;
}

}  // namespace

void rms_norm(const BiasedFrames& frames, const at::Tensor& gamma, Activation activation, at::Tensor out) {
  check_frames(frames.frames);
  check_frames(out);
  FB_CHECK(out.sizes() == frames.frames.sizes() && out.scalar_type() == frames.frames.scalar_type());
  check_vector(gamma, out.size(3));
  if (frames.bias.defined()) check_vector(frames.bias, out.size(3));
  if (out.is_cpu()) return rms_norm_cpu(frames, gamma, activation, out);
#ifdef FLASHBLOCK_CUDA
  return cuda::rms_norm(frames, gamma, activation, out);
#endif
}

at::Tensor rms_norm_bordered(const BiasedFrames& frames, const at::Tensor& gamma, Activation activation) {
  check_frames(frames.frames);
  check_vector(gamma, frames.frames.size(3));
  if (frames.bias.defined()) check_vector(frames.bias, frames.frames.size(3));
#ifdef FLASHBLOCK_CUDA
  if (frames.frames.is_cuda()) return cuda::rms_norm_bordered(frames, gamma, activation);
#endif
  return reference::rms_norm_bordered(frames, gamma, activation);
}

at::Tensor add_border(const BiasedFrames& frames, int64_t frames_per_frame) {
  check_frames(frames.frames);
  if (frames.bias.defined()) check_vector(frames.bias, frames.frames.size(3));
  FB_CHECK(frames.frames.size(3) % frames_per_frame == 0);
#ifdef FLASHBLOCK_CUDA
  if (frames.frames.is_cuda()) return cuda::add_border(frames, frames_per_frame);
#endif
  return reference::add_border(frames, frames_per_frame);
}

void add_bias(at::Tensor& frames, const at::Tensor& bias) { frames.add_(bias); }

void add_biased(at::Tensor& sum, const BiasedFrames& addend) {
#ifdef FLASHBLOCK_CUDA
  if (sum.is_cuda() && addend.bias.defined()) return cuda::add_biased(sum, addend);
#endif
  sum.add_(addend.frames);
  if (addend.bias.defined()) sum.add_(addend.bias);
}

at::Tensor interleave_phases(const BiasedFrames& phases) {
  check_frames(phases.frames);
  FB_CHECK(phases.frames.size(3) % 4 == 0);
  if (phases.frames.is_cpu() && !phases.bias.defined()) return interleave_phases_cpu(phases.frames);
#ifdef FLASHBLOCK_CUDA
  if (phases.frames.is_cuda()) return cuda::interleave_phases(phases);
#endif
  return reference::interleave_phases(phases);
}

namespace reference {

at::Tensor rms_norm(const BiasedFrames& frames, const at::Tensor& gamma, Activation activation) {
  at::Tensor x = frames.frames.to(at::kFloat);
  if (frames.bias.defined()) x = x + frames.bias;
  const double scale = std::sqrt(static_cast<double>(x.size(3)));
  x = x / x.norm(2, {3}, true).clamp_min(1e-12) * scale * gamma;
  if (activation == Activation::kSilu) x = at::silu(x);
  return x.to(frames.frames.scalar_type());
}

at::Tensor rms_norm_bordered(const BiasedFrames& frames, const at::Tensor& gamma, Activation activation) {
  return at::constant_pad_nd(rms_norm(frames, gamma, activation), {0, 0, 1, 1, 1, 1});
}

at::Tensor add_border(const BiasedFrames& frames, int64_t frames_per_frame) {
  const at::ScalarType dtype = frames.frames.scalar_type();
  const at::Tensor x = frames.bias.defined() ? (frames.frames.to(at::kFloat) + frames.bias).to(dtype) : frames.frames;
  const at::Tensor split = at::stack(x.chunk(frames_per_frame, 3), 1).flatten(0, 1);
  return at::constant_pad_nd(split, {0, 0, 1, 1, 1, 1});
}

at::Tensor interleave_phases(const BiasedFrames& phases) {
  const at::Tensor x = phases.bias.defined()
                           ? (phases.frames.to(at::kFloat) + phases.bias).to(phases.frames.scalar_type())
                           : phases.frames;
  const int64_t frames = x.size(0), rows = x.size(1) - 1, columns = x.size(2) - 1, channels = x.size(3) / 4;
  at::Tensor result = at::empty({frames, rows, 2, columns, 2, channels}, x.options());
  for (int64_t a = 0; a < 2; ++a)
    for (int64_t b = 0; b < 2; ++b)
      result.select(4, b).select(2, a).copy_(
          x.narrow(1, a, rows).narrow(2, b, columns).narrow(3, (2 * a + b) * channels, channels));
  return result.view({frames, 2 * rows, 2 * columns, channels});
}

}  // namespace reference
}  // namespace flashblock
