#include "core/nccl_group.h"

#include "core/check.h"

#ifdef FLASHBLOCK_NCCL
#include <ATen/cuda/CUDAContextLight.h>
#include <c10/core/DeviceGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <dlfcn.h>
#include <nccl.h>
#include <stdlib.h>

#include <cstring>
#include <mutex>

#include "core/socket_group.h"
#endif

namespace flashblock {

#ifdef FLASHBLOCK_NCCL
namespace {

/// The functions of NCCL in this process: LibTorch's CUDA library is linked with it. The program itself is not, since
/// it would have to know where LibTorch keeps it.
struct Nccl {
  template <typename Function>
  static Function* find(const char* name) {
    return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
  }
#define FLASHBLOCK_NCCL_FUNCTION(name) decltype(::name)* name = find<decltype(::name)>(#name)
  FLASHBLOCK_NCCL_FUNCTION(ncclGetUniqueId);
  FLASHBLOCK_NCCL_FUNCTION(ncclCommInitRank);
  FLASHBLOCK_NCCL_FUNCTION(ncclCommAbort);
  FLASHBLOCK_NCCL_FUNCTION(ncclGetErrorString);
  FLASHBLOCK_NCCL_FUNCTION(ncclGroupStart);
  FLASHBLOCK_NCCL_FUNCTION(ncclGroupEnd);
  FLASHBLOCK_NCCL_FUNCTION(ncclSend);
  FLASHBLOCK_NCCL_FUNCTION(ncclRecv);
#undef FLASHBLOCK_NCCL_FUNCTION
  bool found() const {
    return ncclGetUniqueId && ncclCommInitRank && ncclCommAbort && ncclGetErrorString && ncclGroupStart &&
           ncclGroupEnd && ncclSend && ncclRecv;
  }
};

const Nccl& nccl() {
  static const Nccl functions;
  return functions;
}

void check_nccl(ncclResult_t result, const char* what) {
  if (result != ncclSuccess)
    throw DeviceError(std::string("NCCL cannot ") + what + ": " + nccl().ncclGetErrorString(result));
}

class NcclGroup final : public ProcessGroup {
 public:
  NcclGroup(const ncclUniqueId& id, int64_t rank, std::vector<std::string> names, at::Device device)
      : ProcessGroup(rank, static_cast<int64_t>(names.size())), names_(std::move(names)), device_(device) {
    setenv("NCCL_NVLS_ENABLE", "0", /*overwrite=*/0);
    const c10::DeviceGuard guard(device_);
    check_nccl(nccl().ncclCommInitRank(&communicator_, static_cast<int>(names_.size()), id, static_cast<int>(rank)),
               "connect the GPUs");
  }
  ~NcclGroup() override {
    if (communicator_) nccl().ncclCommAbort(communicator_);
  }

  void lost(int64_t rank) override {
    lost_ = rank;  // before the kernels that wait for it end
    const std::lock_guard lock(mutex_);
    if (communicator_) nccl().ncclCommAbort(std::exchange(communicator_, nullptr));
  }

  void check() const override {
    const int64_t rank = lost_;
    if (rank >= 0) throw ProcessLost(rank, lost_process_text(names_[static_cast<size_t>(rank)]));
  }

 protected:
  void exchange_with_others(const std::vector<Transfer>& sends, const std::vector<Transfer>& receives) const override {
    const std::lock_guard lock(mutex_);
    check();
    const c10::DeviceGuard guard(device_);
    const cudaStream_t stream = c10::cuda::getCurrentCUDAStream(device_.index());
    check_nccl(nccl().ncclGroupStart(), "begin an exchange");
    for (const Transfer& send : sends)
      check_nccl(nccl().ncclSend(send.tensor.const_data_ptr(), send.tensor.nbytes(), ncclInt8,
                                 static_cast<int>(send.rank), communicator_, stream),
                 "send");
    for (const Transfer& receive : receives)
      check_nccl(nccl().ncclRecv(receive.tensor.data_ptr(), receive.tensor.nbytes(), ncclInt8,
                                 static_cast<int>(receive.rank), communicator_, stream),
                 "receive");
    check_nccl(nccl().ncclGroupEnd(), "exchange");
  }

 private:
  std::vector<std::string> names_;
  at::Device device_;
  mutable std::mutex mutex_;  // of communicator_
  ncclComm_t communicator_ = nullptr;
  std::atomic<int64_t> lost_ = -1;
};

}  // namespace

bool has_nccl() { return nccl().found(); }

std::string new_nccl_group_name() {
  ncclUniqueId id;
  check_nccl(nccl().ncclGetUniqueId(&id), "begin a group");
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string name;
  for (const char c : id.internal) {
    const auto byte = static_cast<unsigned char>(c);
    name += kDigits[byte / 16];
    name += kDigits[byte % 16];
  }
  return name;
}

std::shared_ptr<ProcessGroup> make_nccl_group(const std::string& group_name, int64_t rank,
                                              std::vector<std::string> names, at::Device device) {
  ncclUniqueId id;
  FB_CHECK(group_name.size() == 2 * sizeof id.internal, "not a name of new_nccl_group_name");
  for (size_t i = 0; i < sizeof id.internal; ++i)
    id.internal[i] = static_cast<char>(std::stoi(group_name.substr(2 * i, 2), nullptr, 16));
  return std::make_shared<NcclGroup>(id, rank, std::move(names), device);
}
#else
bool has_nccl() { return false; }

std::string new_nccl_group_name() { throw DeviceError("this build has no NCCL"); }

std::shared_ptr<ProcessGroup> make_nccl_group(const std::string&, int64_t, std::vector<std::string>, at::Device) {
  throw DeviceError("this build has no NCCL");
}
#endif

}  // namespace flashblock
