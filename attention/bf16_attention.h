// Attention in bfloat16 by our own kernel for Hopper.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "attention/attention_state.h"

namespace flashblock {

/// Whether the kernel takes queries of a dtype and head width on a device: compute capability 9.0, bfloat16, 128.
bool has_bf16_attention(at::Device device, at::ScalarType dtype, int64_t head_width);

/// attention_with_lse by the kernel; by the one that attention_with_lse chooses where that takes other inputs.
/// Numerics: fp32 scores, softmax and accumulation; weights are rounded to bfloat16, the output once. The same inputs
/// give the same bits on GPUs of one kind.
AttentionState bf16_attention_with_lse(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

}  // namespace flashblock
