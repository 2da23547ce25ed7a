// Queries, keys and values of attention in 8 bits, rounded.
#pragma once

#include <cuda_runtime_api.h>

#include "attention/kernels/hopper_attention_plan.h"

namespace flashblock::int8_attention {

/// Queues the kernels; returns the status of the launch.
cudaError_t launch_quantisation(const Quantisation& work, cudaStream_t stream);

}  // namespace flashblock::int8_attention
