// The matrix product of one warp on bfloat16, and copies into the shared memory that feed it (compute capability 8.0
// and later). Source: NVIDIA, PTX ISA, "Matrix Fragments for mma.m16n8k16" and "cp.async".
#pragma once

#include <cuda_bf16.h>

#include <cstdint>
#include <cstring>

namespace flashblock::kernels {

// Lane 4 g + t of a warp holds, of a: rows g and g + 8, of b: column g, and of both the inner indices 2 t, 2 t + 1, 2 t
// + 8 and 2 t + 9; of the sums rows g and g + 8, columns 2 t and 2 t + 1. Sums do not depend on the order of the inner
// indices, so that products of long rows may give lane t any four, the same ones of a and b: kernels here take eight
// neighboring elements, one load of 16 bytes, for two products.

/// sums += a b, of 16 x 16 and 16 x 8. a: (g, low), (g + 8, low), (g, high), (g + 8, high); b: low, high.
__device__ __forceinline__ void multiply_add(float (&sums)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3,
                                             uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};\n"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

/// Both products of eight neighboring elements of two rows of a (16 bytes each) and of a column of b.
__device__ __forceinline__ void multiply_add(float (&sums)[4], const uint4& row, const uint4& row_plus_8,
                                             const uint4& column) {
  multiply_add(sums, row.x, row_plus_8.x, row.y, row_plus_8.y, column.x, column.y);
  multiply_add(sums, row.z, row_plus_8.z, row.w, row_plus_8.w, column.z, column.w);
}

/// Begins to copy 16 bytes into shared memory; 16 zeros if not `wanted`.
__device__ __forceinline__ void begin_copy(uint4* to, const void* from, bool wanted = true) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(wanted ? 16 : 0)
               : "memory");
}

/// What begin_streamed_copy is given, for memory that is read once: other data stays in the L2 cache.
__device__ __forceinline__ uint64_t streaming_policy() {
  uint64_t policy;
  asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
  return policy;
}

/// begin_copy of memory that the thread block reads in runs of 256 bytes or more: each is fetched whole by its first
/// access.
__device__ __forceinline__ void begin_streamed_copy(uint4* to, const void* from, uint64_t policy) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global.L2::cache_hint.L2::256B [%0], [%1], 16, %2;" ::"r"(address), "l"(from),
               "l"(policy)
               : "memory");
}

/// Ends a group of copies of this thread; a group may be empty.
__device__ __forceinline__ void end_copy_group() { asm volatile("cp.async.commit_group;" ::: "memory"); }

/// Waits for this thread's copies, but for the latest `kPending` groups. They are visible to this thread.
template <int kPending>
__device__ __forceinline__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

/// Two numbers, rounded: x in the lower half.
__device__ __forceinline__ uint32_t packed_bfloat16(float x, float y) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(x, y);
  uint32_t bits;
  memcpy(&bits, &pair, sizeof bits);
  return bits;
}

}  // namespace flashblock::kernels
