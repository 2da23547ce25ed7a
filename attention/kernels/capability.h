// Properties of a GPU.
#pragma once

namespace flashblock {

/// Major compute capability of a device: 9 is Hopper. Queried once per device.
int compute_capability_major(int device_index);

/// Multiprocessors of a device. Queried once per device.
int multiprocessor_count(int device_index);

}  // namespace flashblock
