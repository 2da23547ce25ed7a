// A process group of GPUs, by NCCL.
#pragma once

#include <c10/core/Device.h>

#include <memory>
#include <string>
#include <vector>

#include "core/process_group.h"

namespace flashblock {

/// Whether this build has NCCL.
bool has_nccl();

/// A name for a new group, for all of its processes. Throws: DeviceError.
std::string new_nccl_group_name();

/// One process for each GPU, no two on the same. Waits for the other processes. NVLink multicast (NVLS) is off.
/// `names`: of the processes, for messages. Requires: has_nccl(). Throws: DeviceError.
std::shared_ptr<ProcessGroup> make_nccl_group(const std::string& group_name, int64_t rank,
                                              std::vector<std::string> names, at::Device device);

}  // namespace flashblock
