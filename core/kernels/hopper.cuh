// Hopper's asynchronous matrix product (wgmma), its copy engine (TMA) and the barriers between them, as functions.
// Compiled for sm_90a alone. Source of all: NVIDIA, PTX ISA, "Asynchronous Warpgroup Level Matrix Instructions" and
// "Data Movement and Conversion Instructions: Tensor copy".
#pragma once

#include <cuda.h>
#include <cudaTypedefs.h>
#include <cuda_runtime_api.h>

#include <cstdint>

namespace flashblock::kernels::hopper {

/// On the host: the driver's function that describes a tensor to the copy engine, without linking the driver's library;
/// null where the driver has none.
inline PFN_cuTensorMapEncodeTiled_v12000 tensor_map_encoder() {
  static const auto function = [] {
    void* pointer = nullptr;
    cudaDriverEntryPointQueryResult found{};
    cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &pointer, 12000, cudaEnableDefault, &found);
    return found == cudaDriverEntryPointSuccess ? reinterpret_cast<PFN_cuTensorMapEncodeTiled_v12000>(pointer)
                                                : nullptr;
  }();
  return function;
}

__device__ __forceinline__ uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

/// A phase of the barrier ends with `arrivals` arrivals and all bytes that were announced.
__device__ __forceinline__ void init_barrier(uint64_t* barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals));
}

/// After init_barrier, before the thread block's own barrier: other units see the barriers.
__device__ __forceinline__ void publish_barriers() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

__device__ __forceinline__ void arrive(uint64_t* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}

__device__ __forceinline__ void arrive_and_expect(uint64_t* barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes)
               : "memory");
}

/// Until the phase of this parity has ended.
__device__ __forceinline__ void wait(uint64_t* barrier, int parity) {
  uint32_t done = 0;
  while (!done) {
    asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}\n"
                 : "=r"(done)
                 : "r"(shared_address(barrier)), "r"(parity)
                 : "memory");
  }
}

/// Copies the box of `map` at (column, row) to shared memory; what lies outside the matrix arrives as zeros.
__device__ __forceinline__ void load_box(void* target, const CUtensorMap* map, int column, int row, uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];" ::"r"(
          shared_address(target)),
      "l"(map), "r"(shared_address(barrier)), "r"(column), "r"(row)
      : "memory");
}

/// Copies bytes that lie one after the other, a multiple of 16, to shared memory.
__device__ __forceinline__ void load_bytes(void* target, const void* source, int bytes, uint64_t* barrier) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                   shared_address(target)),
               "l"(source), "r"(bytes), "r"(shared_address(barrier))
               : "memory");
}

/// The same for a map of four dimensions.
__device__ __forceinline__ void load_box(void* target, const CUtensorMap* map, int column, int row, int plane,
                                         int group, uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6}], "
      "[%2];" ::"r"(shared_address(target)),
      "l"(map), "r"(shared_address(barrier)), "r"(column), "r"(row), "r"(plane), "r"(group)
      : "memory");
}

/// The same for a map of five dimensions, from (column, 0, 0, 0, group) on.
__device__ __forceinline__ void load_box_of_groups(void* target, const CUtensorMap* map, int column, int group,
                                                   uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.5d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %4, %4, %5}], "
      "[%2];" ::"r"(shared_address(target)),
      "l"(map), "r"(shared_address(barrier)), "r"(column), "r"(0), "r"(group)
      : "memory");
}

/// Descriptor of a matrix in shared memory, K innermost: rows of 128 bytes, swizzled by 128 bytes as load_box does.
__device__ __forceinline__ uint64_t matrix_rows_of_128_bytes(uint32_t address) {
  constexpr uint64_t kSwizzle128 = 1ull << 62, kGroupOfEightRows = static_cast<uint64_t>(8 * 128 / 16) << 32;
  return ((address & 0x3FFFF) >> 4) | (1ull << 16) | kGroupOfEightRows | kSwizzle128;
}

/// The same for rows of 64 bytes, swizzled by 64 bytes.
__device__ __forceinline__ uint64_t matrix_rows_of_64_bytes(uint32_t address) {
  constexpr uint64_t kSwizzle64 = 2ull << 62, kGroupOfEightRows = static_cast<uint64_t>(8 * 64 / 16) << 32;
  return ((address & 0x3FFFF) >> 4) | (1ull << 16) | kGroupOfEightRows | kSwizzle64;
}

/// The same for columns of 16 bytes one after the other, each of `rows` rows: not swizzled.
__device__ __forceinline__ uint64_t matrix_columns_of_16_bytes(uint32_t address, int rows) {
  constexpr uint64_t kGroupOfEightRows = static_cast<uint64_t>(8 * 16 / 16) << 32;
  return ((address & 0x3FFFF) >> 4) | (static_cast<uint64_t>(rows) << 16) | kGroupOfEightRows;
}

/// Descriptor of a matrix in shared memory whose N is innermost: blocks of 64 columns, `bytes` apart, of rows (K) of
/// 128 bytes, swizzled by 128 bytes as load_box does.
__device__ __forceinline__ uint64_t matrix_blocks_of_128_bytes(uint32_t address, int bytes) {
  constexpr uint64_t kSwizzle128 = 1ull << 62, kGroupOfEightRows = static_cast<uint64_t>(8 * 128 / 16) << 32;
  return ((address & 0x3FFFF) >> 4) | (static_cast<uint64_t>(bytes / 16) << 16) | kGroupOfEightRows | kSwizzle128;
}

__device__ __forceinline__ void begin_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
/// Until at most `groups` of the committed groups are unfinished.
template <int groups>
__device__ __forceinline__ void wait_for_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(groups) : "memory");
}

template <int registers>
__device__ __forceinline__ void give_registers_back() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(registers));
}
template <int registers>
__device__ __forceinline__ void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(registers));
}

/// d = (keep ? d : 0) + A B^T for bfloat16 A [64, 16] and B [N, 16] by descriptor. A warpgroup holds d [64, N]: with
/// warp w and lane l, d[4 j + 2 h + e] is row 16 w + 8 h + l / 4, column 8 j + 2 (l % 4) + e.
template <int N>
struct MatrixProduct;

#define FB_SUMS4(i) "+f"(d[i]), "+f"(d[(i) + 1]), "+f"(d[(i) + 2]), "+f"(d[(i) + 3])
#define FB_SUMS16(i) FB_SUMS4(i), FB_SUMS4((i) + 4), FB_SUMS4((i) + 8), FB_SUMS4((i) + 12)
#define FB_SUMS64 FB_SUMS16(0), FB_SUMS16(16), FB_SUMS16(32), FB_SUMS16(48)
#define FB_INTS4(i) "+r"(d[i]), "+r"(d[(i) + 1]), "+r"(d[(i) + 2]), "+r"(d[(i) + 3])
#define FB_INTS16(i) FB_INTS4(i), FB_INTS4((i) + 4), FB_INTS4((i) + 8), FB_INTS4((i) + 12)
#define FB_INTS64 FB_INTS16(0), FB_INTS16(16), FB_INTS16(32), FB_INTS16(48)

// clang-format off
#define FB_D48 \
  "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define FB_D64 FB_D48 ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define FB_D88 FB_D64 \
  ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, " \
  "%80, %81, %82, %83, %84, %85, %86, %87"
#define FB_D96 FB_D88 ", %88, %89, %90, %91, %92, %93, %94, %95"
#define FB_D128 FB_D96 \
  ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, " \
  "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"

template <>
struct MatrixProduct<96> {
  __device__ static __forceinline__ void add(float (&d)[48], uint64_t a, uint64_t b, int keep) {
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %50, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n96k16.f32.bf16.bf16 " FB_D48 "}, %48, %49, p, 1, 1, 0, 0;\n}\n"
                 : FB_SUMS16(0), FB_SUMS16(16), FB_SUMS16(32)
                 : "l"(a), "l"(b), "r"(keep));
  }
};

template <>
struct MatrixProduct<128> {
  __device__ static __forceinline__ void add(float (&d)[64], uint64_t a, uint64_t b, int keep) {
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 " FB_D64 "}, %64, %65, p, 1, 1, 0, 0;\n}\n"
                 : FB_SUMS64
                 : "l"(a), "l"(b), "r"(keep));
  }
  /// A in registers, B with N innermost: d += A B for A [64, 16] and B [16, 128]. With warp w and lane l, the halves of
  /// a[2 c + h] are row 16 w + 8 h + l / 4, columns 8 c + 2 (l % 4) and the next.
  __device__ static __forceinline__ void add_rows(float (&d)[64], const uint32_t* a, uint64_t b) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 " FB_D64
                 "}, {%64, %65, %66, %67}, %68, 1, 1, 1, 1;\n"
                 : FB_SUMS64
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
  }
};

template <>
struct MatrixProduct<176> {
  __device__ static __forceinline__ void add(float (&d)[88], uint64_t a, uint64_t b, int keep) {
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %90, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n176k16.f32.bf16.bf16 " FB_D88 "}, %88, %89, p, 1, 1, 0, 0;\n}\n"
                 : FB_SUMS64, FB_SUMS16(64), FB_SUMS4(80), FB_SUMS4(84)
                 : "l"(a), "l"(b), "r"(keep));
  }
};

template <>
struct MatrixProduct<192> {
  __device__ static __forceinline__ void add(float (&d)[96], uint64_t a, uint64_t b, int keep) {
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %98, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n192k16.f32.bf16.bf16 " FB_D96 "}, %96, %97, p, 1, 1, 0, 0;\n}\n"
                 : FB_SUMS64, FB_SUMS16(64), FB_SUMS16(80)
                 : "l"(a), "l"(b), "r"(keep));
  }
};

/// The same for 8-bit A [64, 32] and B [N, 32], summed in int32: signed; and A unsigned, B signed.
template <int N>
struct Int8Product;
template <int N>
struct UInt8Product;

#define FB_BYTE_PRODUCT(Name, types, N, registers, next, after, last, sums)                            \
  template <>                                                                                          \
  struct Name<N> {                                                                                     \
    __device__ static __forceinline__ void add(int32_t (&d)[N / 2], uint64_t a, uint64_t b, int keep) { \
      asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #last ", 0;\n"                                 \
                   "wgmma.mma_async.sync.aligned.m64n" #N "k32.s32." types " " registers               \
                   "}, %" #next ", %" #after ", p;\n}\n"                                               \
                   : sums                                                                              \
                   : "l"(a), "l"(b), "r"(keep));                                                       \
    }                                                                                                  \
  };
#define FB_LIST(...) __VA_ARGS__
FB_BYTE_PRODUCT(Int8Product, "s8.s8", 96, FB_D48, 48, 49, 50, FB_LIST(FB_INTS16(0), FB_INTS16(16), FB_INTS16(32)))
FB_BYTE_PRODUCT(Int8Product, "s8.s8", 128, FB_D64, 64, 65, 66, FB_LIST(FB_INTS64))
FB_BYTE_PRODUCT(Int8Product, "s8.s8", 192, FB_D96, 96, 97, 98, FB_LIST(FB_INTS64, FB_INTS16(64), FB_INTS16(80)))
FB_BYTE_PRODUCT(Int8Product, "s8.s8", 256, FB_D128, 128, 129, 130,
                FB_LIST(FB_INTS64, FB_INTS16(64), FB_INTS16(80), FB_INTS16(96), FB_INTS16(112)))
FB_BYTE_PRODUCT(UInt8Product, "u8.s8", 96, FB_D48, 48, 49, 50, FB_LIST(FB_INTS16(0), FB_INTS16(16), FB_INTS16(32)))
FB_BYTE_PRODUCT(UInt8Product, "u8.s8", 128, FB_D64, 64, 65, 66, FB_LIST(FB_INTS64))
FB_BYTE_PRODUCT(UInt8Product, "u8.s8", 192, FB_D96, 96, 97, 98, FB_LIST(FB_INTS64, FB_INTS16(64), FB_INTS16(80)))
#undef FB_LIST
#undef FB_BYTE_PRODUCT

/// d += A B^T for e4m3 A [64, 32] in registers and B [N, 32] by descriptor, summed in fp32 of reduced precision: what
/// is far below the sum so far is truncated. With warp w and lane l, byte i of a[2 h + g] is row 16 w + 8 g + l / 4,
/// column 16 h + 4 (l % 4) + i.
template <int N>
struct Float8Product;

template <>
struct Float8Product<128> {
  __device__ static __forceinline__ void add(float (&d)[64], const uint32_t* a, uint64_t b) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k32.f32.e4m3.e4m3 " FB_D64
                 "}, {%64, %65, %66, %67}, %68, 1, 1, 1;\n"
                 : FB_SUMS64
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
  }
};
// clang-format on

#undef FB_D128
#undef FB_D96
#undef FB_D88
#undef FB_D64
#undef FB_D48
#undef FB_INTS64
#undef FB_INTS16
#undef FB_INTS4
#undef FB_SUMS4
#undef FB_SUMS64
#undef FB_SUMS16

}  // namespace flashblock::kernels::hopper
