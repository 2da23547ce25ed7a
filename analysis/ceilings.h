// How fast a device multiplies at best: what the parts of a benchmark are held against.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

namespace flashblock {

/// Operations per second of one large product of square matrices with normal numbers, by LibTorch's own libraries, for
/// as long as a GPU takes to settle at its power limit. A multiplication and an addition are two operations.
struct Ceilings {
  double native = 0;      ///< in the dtype
  double eight_bits = 0;  ///< in float8 (e4m3), as fast as int8 on tensor cores; 0 where LibTorch cannot

  /// What so many operations of both kinds take, in seconds; 0 where that is not known.
  double least_seconds(double native_operations, double operations_in_8_bits) const {
    if (operations_in_8_bits > 0 && eight_bits == 0) return 0;
    return native_operations / native + (eight_bits > 0 ? operations_in_8_bits / eight_bits : 0);
  }
};

/// Takes a second a kind on a GPU, less on a CPU.
Ceilings measure_ceilings(at::Device device, at::ScalarType dtype);

}  // namespace flashblock
