// Which kernel attention() computes with, for those who tell users. Defined in attention.cpp, which chooses by it.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string_view>

namespace flashblock {

enum class AttentionKernel {
  kCudnn,      ///< cuDNN's: Hopper, reduced precision
  kFlash,      ///< LibTorch's flash attention: other GPUs, reduced precision
  kEfficient,  ///< LibTorch's memory-efficient attention: GPUs, float32
  kAvx512,     ///< attention/kernels/cpu_attention: processors with AVX-512
  kPlainCpu,   ///< LibTorch's flash attention for CPUs
};

/// The kernel for queries of a dtype and head width on a device.
AttentionKernel attention_kernel(at::Device device, at::ScalarType dtype, int64_t head_width);

/// In a few words.
std::string_view describe(AttentionKernel kernel);

}  // namespace flashblock
