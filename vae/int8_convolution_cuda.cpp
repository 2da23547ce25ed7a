#include "vae/int8_convolution_cuda.h"

#include <ATen/cuda/CUDAContext.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <array>
#include <string>

#include "core/check.h"
#include "core/error.h"
#include "vae/frame_ops.h"
#include "vae/kernels/hopper_int8_convolution.h"
#include "vae/kernels/quantised_norm.h"

namespace flashblock::cuda {
namespace {

constexpr int64_t kPlane = 16;

void check_int8_launch(cudaError_t error, const char* kernel) {
  if (error != cudaSuccess) throw DeviceError(std::string("CUDA kernel ") + kernel + ": " + cudaGetErrorString(error));
}

void check_planes(const at::Tensor& planes, int64_t channels) {
  FB_CHECK(planes.scalar_type() == at::kByte && planes.is_contiguous() && planes.dim() == 5 &&
               planes.size(1) * kPlane == channels && planes.size(4) == kPlane && planes.size(2) > 2 &&
               planes.size(3) > 2,
           "planes of ", channels, " channels, found ", planes.sizes(), ' ', planes.scalar_type());
}

kernels::Int8CausalArguments arguments_for(const Int8Operands& operands, const c10::cuda::CUDAStream& stream) {
  const at::Tensor& frames = operands.frames;
  const int64_t in_channels = operands.weights.size(2) * kPlane;
  check_planes(frames, in_channels);
  kernels::Int8CausalArguments arguments;
  for (size_t i = 0; i < operands.history.size(); ++i) {
    const at::Tensor& frame = operands.history[i];
    check_planes(frame.unsqueeze(0), in_channels);
    FB_CHECK(frame.sizes() == frames.sizes().slice(1));
    frame.record_stream(stream.unwrap());  // it may have been computed on another one, and is freed after this
    arguments.history[i] = frame.const_data_ptr();
  }
  arguments.frames = frames.const_data_ptr();
  arguments.weights = operands.weights.const_data_ptr();
  arguments.scales = operands.scales.const_data_ptr<float>();
  arguments.bias = operands.bias.const_data_ptr<float>();
  arguments.count = frames.size(0), arguments.height = frames.size(2) - 2, arguments.width = frames.size(3) - 2;
  arguments.in_channels = in_channels, arguments.out_channels = operands.scales.numel();
  return arguments;
}

void launch(const kernels::Int8CausalArguments& arguments, const at::Tensor& frames,
            const c10::cuda::CUDAStream& stream) {
  const int multiprocessors = at::cuda::getDeviceProperties(frames.device().index())->multiProcessorCount;
  check_int8_launch(launch_int8_causal_convolution(arguments, multiprocessors, stream), "int8_causal_convolution");
}

}  // namespace

bool has_int8_convolutions(at::Device device) {
  const cudaDeviceProp* properties = at::cuda::getDeviceProperties(device.index());
  return properties->major == 9 && properties->minor == 0;
}

at::Tensor quantised_norm(const at::Tensor& x, const Int8Rounding& rounding) {
  const int64_t channels = rounding.gamma.numel();
  FB_CHECK(x.scalar_type() == at::kBFloat16 && x.is_contiguous() && x.dim() == 4 && x.size(3) == channels);
  const c10::cuda::CUDAGuard guard(x.device());
  at::Tensor out =
      at::empty({x.size(0), channels / kPlane, x.size(1) + 2, x.size(2) + 2, kPlane}, x.options().dtype(at::kByte));
  const kernels::QuantisedNormArguments arguments{x.const_data_ptr(),
                                                  rounding.gamma.const_data_ptr<float>(),
                                                  rounding.inverse_steps.const_data_ptr<float>(),
                                                  rounding.zeros.const_data_ptr<float>(),
                                                  out.data_ptr(),
                                                  x.size(0),
                                                  x.size(1),
                                                  x.size(2),
                                                  channels};
  check_int8_launch(launch_quantised_norm(arguments, c10::cuda::getCurrentCUDAStream()), "quantised_norm");
  return out;
}

void int8_convolution(const Int8Operands& operands, const at::Tensor& result, Int8Target target) {
  const c10::cuda::CUDAGuard guard(operands.frames.device());
  const c10::cuda::CUDAStream stream = c10::cuda::getCurrentCUDAStream();
  kernels::Int8CausalArguments arguments = arguments_for(operands, stream);
  const std::array<int64_t, 4> sizes{arguments.count, arguments.height, arguments.width, arguments.out_channels};
  FB_CHECK(result.scalar_type() == at::kBFloat16 && result.is_contiguous() && result.sizes() == at::IntArrayRef(sizes),
           "a result ", result.sizes(), " of planes ", operands.frames.sizes());
  arguments.out = result.data_ptr();
  arguments.add = target == Int8Target::kAdd;
  launch(arguments, operands.frames, stream);
}

at::Tensor int8_convolution_quantised(const Int8Operands& operands, const Int8Rounding& rounding) {
  const c10::cuda::CUDAGuard guard(operands.frames.device());
  const c10::cuda::CUDAStream stream = c10::cuda::getCurrentCUDAStream();
  kernels::Int8CausalArguments arguments = arguments_for(operands, stream);
  FB_CHECK(rounding.gamma.numel() == arguments.out_channels);
  at::Tensor out = at::empty({operands.frames.size(0), arguments.out_channels / kPlane, operands.frames.size(2),
                              operands.frames.size(3), kPlane},
                             operands.frames.options());
  arguments.out = out.data_ptr();
  arguments.gamma = rounding.gamma.const_data_ptr<float>();
  arguments.inverse_steps = rounding.inverse_steps.const_data_ptr<float>();
  arguments.zeros = rounding.zeros.const_data_ptr<float>();
  launch(arguments, operands.frames, stream);
  return out;
}

}  // namespace flashblock::cuda
