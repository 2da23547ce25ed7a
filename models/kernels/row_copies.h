// Copies between views of tensors in one launch.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace flashblock {

/// One view to another of the same sizes: rows of `vectors` vectors of 16 bytes, along three outer dimensions. Strides
/// in vectors. They do not overlap; everything is 16-byte aligned.
struct RowCopy {
  const void* from;
  void* to;
  uint32_t sizes[3], vectors;
  int64_t from_strides[3], to_strides[3];
};

/// What one launch copies: as much as its parameters hold.
struct RowCopies {
  static constexpr int kMost = 32;
  RowCopy copies[kMost];
  int count;
};

/// Queues the copies; returns the status of the launch.
/// Requires: fewer than 2^31 vectors in each.
cudaError_t launch_row_copies(const RowCopies& arguments, cudaStream_t stream);

}  // namespace flashblock
