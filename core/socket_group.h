// A process group whose tensors travel through sockets, in host memory.
#pragma once

#include <string>
#include <vector>

#include "core/file_descriptor.h"
#include "core/process_group.h"

namespace flashblock {

/// For processes on the CPU, and for several on one GPU, which NCCL refuses: their tensors go by way of the host, so
/// that an exchange synchronizes. LibTorch's own, ProcessGroupGloo, cannot be used: its header includes those of Gloo,
/// which LibTorch does not ship.
class SocketGroup final : public ProcessGroup {
 public:
  /// `sockets`: stream sockets to the processes, by rank; that of this process is none. `names`: of the processes, for
  /// messages.
  SocketGroup(int64_t rank, std::vector<FileDescriptor> sockets, std::vector<std::string> names);

 protected:
  void exchange_with_others(const std::vector<Transfer>& sends, const std::vector<Transfer>& receives) const override;

 private:
  struct Bytes;
  struct Traffic;
  [[noreturn]] void throw_lost(size_t rank) const;
  void move_bytes(std::vector<Traffic>& traffic) const;

  std::vector<FileDescriptor> sockets_;
  std::vector<std::string> names_;
};

/// The end of a process, in words: `name` is its device.
std::string lost_process_text(const std::string& name);

}  // namespace flashblock
