#include "vae/bordered_convolution_cuda.h"

#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <string>

#include "core/check.h"
#include "core/error.h"
#include "vae/kernels/hopper_convolution.h"

namespace flashblock::cuda {
namespace {

void check_frames_with_border(const at::Tensor& frames, int64_t channels) {
  FB_CHECK(frames.scalar_type() == at::kBFloat16 && frames.is_contiguous() && frames.dim() == 4 &&
               frames.size(3) == channels && frames.size(1) > 2 && frames.size(2) > 2,
           "bordered frames of ", channels, " channels, found ", frames.sizes(), ' ', frames.scalar_type());
}

void check_convolution_launch(cudaError_t error, const char* kernel) {
  if (error != cudaSuccess) throw DeviceError(std::string("CUDA kernel ") + kernel + ": " + cudaGetErrorString(error));
}

int multiprocessors(const at::Tensor& tensor) {
  return at::cuda::getDeviceProperties(tensor.device().index())->multiProcessorCount;
}

/// What both kinds of convolution have in common.
template <typename Arguments>
Arguments arguments_for(const at::Tensor& weights, const at::Tensor& bias, const at::Tensor& frames,
                        const at::Tensor& result) {
  check_frames_with_border(frames, weights.size(-1));
  Arguments arguments;
  arguments.frames = frames.const_data_ptr();
  arguments.weights = weights.const_data_ptr();
  arguments.bias = bias.defined() ? bias.const_data_ptr<float>() : nullptr;
  arguments.out = result.data_ptr();
  arguments.count = frames.size(0);
  arguments.height = frames.size(1) - 2;
  arguments.width = frames.size(2) - 2;
  arguments.in_channels = weights.size(-1);
  arguments.out_channels = result.size(3);
  return arguments;
}

}  // namespace

bool has_bordered_convolutions(at::Device device) {
  const cudaDeviceProp* properties = at::cuda::getDeviceProperties(device.index());
  return properties->major == 9 && properties->minor == 0;
}

void causal_convolution(const at::Tensor& weights, const at::Tensor& bias, const BorderedConvolution::History& history,
                        const at::Tensor& frames, const at::Tensor& result, Target target, const at::Tensor& gamma) {
  const c10::cuda::CUDAGuard guard(frames.device());
  const c10::cuda::CUDAStream stream = c10::cuda::getCurrentCUDAStream();
  auto arguments = arguments_for<kernels::CausalArguments>(weights, bias, frames, result);
  for (size_t i = 0; i < history.size(); ++i) {
    check_frames_with_border(history[i].unsqueeze(0), weights.size(-1));
    FB_CHECK(history[i].sizes() == frames.sizes().slice(1));
    history[i].record_stream(stream.unwrap());  // it may have been computed on another one, and is freed after this
    arguments.history[i] = history[i].const_data_ptr();
  }
  arguments.add = target == Target::kAdd;
  if (gamma.defined()) {
    FB_CHECK(gamma.scalar_type() == at::kFloat && gamma.is_contiguous() && gamma.numel() == result.size(3));
    arguments.gamma = gamma.const_data_ptr<float>();
  }
  check_convolution_launch(launch_causal_convolution(arguments, multiprocessors(frames), stream), "causal_convolution");
}

void doubling_convolution(const at::Tensor& weights, const at::Tensor& bias, const at::Tensor& frames,
                          const at::Tensor& result) {
  const c10::cuda::CUDAGuard guard(frames.device());
  const auto arguments = arguments_for<kernels::DoublingArguments>(weights, bias, frames, result);
  check_convolution_launch(
      launch_doubling_convolution(arguments, multiprocessors(frames), c10::cuda::getCurrentCUDAStream()),
      "doubling_convolution");
}

}  // namespace flashblock::cuda
