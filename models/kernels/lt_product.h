// Linears in bfloat16 by cuBLASLt with a given algorithm, on raw memory. The library is the one that LibTorch has
// loaded. All functions are of the current device.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#ifdef FLASHBLOCK_CUDA
#include <cuda_runtime_api.h>

namespace flashblock {

/// out = x weight^T + bias, then GELU in its tanh form if asked for. Sums in fp32, rounded once.
struct LtProduct {
  const void* x = nullptr;       ///< [rows, in]
  const void* weight = nullptr;  ///< [out_columns, in]
  const void* bias = nullptr;    ///< [out_columns]
  void* out = nullptr;           ///< [rows, out_columns]
  int64_t rows = 0, in = 0, out_columns = 0;
  bool gelu = false;
};

/// An algorithm, as the library serializes it, and the memory that it works in.
struct LtChoice {
  std::array<uint64_t, 8> algorithm{};
  int64_t workspace_bytes = 0;
};

/// Version of the library; 0: it is not there.
int64_t lt_version();

/// What its heuristics propose for a product, best first. Pointers are taken to be aligned to 16 bytes.
std::vector<LtChoice> lt_proposals(const LtProduct& product, int most, int64_t workspace_bytes);

/// Workspace that the algorithm needs for the product; none: the library refuses it.
std::optional<int64_t> lt_workspace(const LtProduct& product, const std::array<uint64_t, 8>& algorithm);

/// Requires: an algorithm that lt_workspace has accepted, and so much workspace. False: the library has refused.
bool launch_lt_product(const LtProduct& product, const LtChoice& choice, void* workspace, cudaStream_t stream);

}  // namespace flashblock
#endif
