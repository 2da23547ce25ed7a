// Copy of keys and values within a cache in one launch.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace flashblock {

/// Ranges of keys and of values of `batch` videos or texts, which are batch_stride vectors of 16 bytes apart. From and
/// to do not overlap.
struct CacheCopyArguments {
  const void* keys;
  void* to_keys;
  const void* values;
  void* to_values;
  int64_t batch, vectors, batch_stride;
};

/// Queues the copy; returns the status of the launch.
cudaError_t launch_cache_copy(const CacheCopyArguments& arguments, cudaStream_t stream);

}  // namespace flashblock
