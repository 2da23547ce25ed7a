#include "vae/frame_ops_cuda.h"

#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <string>

#include "core/error.h"
#include "vae/kernels/frame_kernels.h"

namespace flashblock::cuda {
namespace {

constexpr int64_t kAlignedChannels = 8;

kernels::Element element_of(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kFloat ? kernels::Element::kFloat32 : kernels::Element::kBFloat16;
}

const float* bias_or_null(const at::Tensor& bias) { return bias.defined() ? bias.const_data_ptr<float>() : nullptr; }

void check_launch(cudaError_t error, const char* kernel) {
  if (error != cudaSuccess) throw DeviceError(std::string("CUDA kernel ") + kernel + ": " + cudaGetErrorString(error));
}

kernels::NormArguments norm_arguments(const BiasedFrames& frames, const at::Tensor& gamma, Activation activation,
                                      const at::Tensor& out) {
  const int64_t channels = out.size(3);
  return {frames.frames.const_data_ptr(), bias_or_null(frames.bias),
          gamma.const_data_ptr<float>(),  out.data_ptr(),
          out.numel() / channels,         channels,
          activation == Activation::kSilu};
}

}  // namespace

void rms_norm(const BiasedFrames& frames, const at::Tensor& gamma, Activation activation, const at::Tensor& out) {
  const c10::cuda::CUDAGuard guard(out.device());
  const kernels::NormArguments arguments = norm_arguments(frames, gamma, activation, out);
  check_launch(launch_rms_norm(arguments, element_of(out), c10::cuda::getCurrentCUDAStream()), "rms_norm");
}

at::Tensor rms_norm_bordered(const BiasedFrames& frames, const at::Tensor& gamma, Activation activation) {
  const at::Tensor& x = frames.frames;
  const c10::cuda::CUDAGuard guard(x.device());
  at::Tensor out = at::empty({x.size(0), x.size(1) + 2, x.size(2) + 2, x.size(3)}, x.options());
  kernels::NormArguments arguments = norm_arguments(frames, gamma, activation, out);
  arguments.bordered_height = x.size(1), arguments.bordered_width = x.size(2);
  check_launch(launch_rms_norm(arguments, element_of(out), c10::cuda::getCurrentCUDAStream()), "rms_norm");
  return out;
}

at::Tensor add_border(const BiasedFrames& frames, int64_t frames_per_frame) {
  const at::Tensor& x = frames.frames;
  const int64_t channels = x.size(3) / frames_per_frame;
  if (channels % kAlignedChannels != 0) return reference::add_border(frames, frames_per_frame);
  const c10::cuda::CUDAGuard guard(x.device());
  at::Tensor out = at::empty({frames_per_frame * x.size(0), x.size(1) + 2, x.size(2) + 2, channels}, x.options());
  const kernels::BorderArguments arguments{
      x.const_data_ptr(), bias_or_null(frames.bias), out.data_ptr(), x.size(0), x.size(1), x.size(2),
      channels,           frames_per_frame};
  check_launch(launch_add_border(arguments, element_of(x), c10::cuda::getCurrentCUDAStream()), "add_border");
  return out;
}

void add_biased(const at::Tensor& sum, const BiasedFrames& addend) {
  const int64_t channels = sum.size(3);
  if (channels % kAlignedChannels != 0) {
    sum.add_(addend.frames).add_(addend.bias);
    return;
  }
  const c10::cuda::CUDAGuard guard(sum.device());
  const kernels::AddArguments arguments{sum.data_ptr(), addend.frames.const_data_ptr(),
                                        addend.bias.const_data_ptr<float>(), sum.numel() / channels, channels};
  check_launch(launch_add_biased(arguments, element_of(sum), c10::cuda::getCurrentCUDAStream()), "add_biased");
}

at::Tensor interleave_phases(const BiasedFrames& phases) {
  const at::Tensor& source = phases.frames;
  const int64_t frames = source.size(0), rows = source.size(1) - 1, columns = source.size(2) - 1,
                channels = source.size(3) / 4;
  if (channels % kAlignedChannels != 0) return reference::interleave_phases(phases);
  const c10::cuda::CUDAGuard guard(source.device());
  at::Tensor result = at::empty({frames, 2 * rows, 2 * columns, channels}, source.options());
  const kernels::PhaseArguments arguments{
      source.const_data_ptr(), bias_or_null(phases.bias), result.data_ptr(), frames, rows, columns, channels};
  check_launch(launch_interleave_phases(arguments, element_of(source), c10::cuda::getCurrentCUDAStream()),
               "interleave_phases");
  return result;
}

at::Tensor gather_taps(const at::Tensor& contributions, const at::Tensor& bias, at::IntArrayRef result_sizes) {
  const c10::cuda::CUDAGuard guard(contributions.device());
  at::Tensor result = at::empty(result_sizes, contributions.options().dtype(at::kFloat));
  const kernels::GatherArguments arguments{contributions.const_data_ptr(),
                                           bias.const_data_ptr<float>(),
                                           result.data_ptr<float>(),
                                           result_sizes[0],
                                           result_sizes[2],
                                           result_sizes[3]};
  check_launch(launch_gather_taps(arguments, element_of(contributions), c10::cuda::getCurrentCUDAStream()),
               "gather_taps");
  return result;
}

}  // namespace flashblock::cuda
