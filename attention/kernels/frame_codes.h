// Keys or values of frames to 8 bits and back, on raw memory.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "attention/kernels/element.h"

namespace flashblock {

constexpr int64_t kLeastCodedWidth = 8, kMostCodedWidth = 256;  ///< of a head, powers of two

/// A row is one token of one head; its numbers follow one another. Rows of a frame, then those of the next.
struct FrameCodesArguments {
  Element element;    ///< of x, steps and means
  void* x;            ///< [rows, width]
  int8_t* codes;      ///< [rows, width]
  void* steps;        ///< [rows]
  const void* means;  ///< [frames, heads, width]
  int64_t rows, frame_rows, heads, width;
};

/// steps = largest |x - means| of a row / 127, codes = round((x - means) / steps), both in float32.
cudaError_t launch_quantise_frames(const FrameCodesArguments& arguments, cudaStream_t stream);
/// x = codes * steps + means, in float32, rounded once.
cudaError_t launch_dequantise_frames(const FrameCodesArguments& arguments, cudaStream_t stream);

}  // namespace flashblock
