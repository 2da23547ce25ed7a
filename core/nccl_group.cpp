#include "core/nccl_group.h"

#include "core/check.h"

#ifdef FLASHBLOCK_NCCL
#include <ATen/cuda/CUDAContextLight.h>
#include <c10/core/DeviceGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <dlfcn.h>
#include <nccl.h>
#include <stdlib.h>

#include <algorithm>
#include <cstring>
#include <mutex>

#include "core/peer_memory.h"
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
    if (size() > 1)
      peers_ = PeerMemory::connect(rank, size(), device_, [&](const at::Tensor& own) { return share(own); });
  }
  ~NcclGroup() override {
    if (communicator_) nccl().ncclCommAbort(communicator_);
  }

  void lost(int64_t rank) override {
    lost_ = rank;  // before the kernels that wait for it end
    if (peers_) peers_->give_up();
    const std::lock_guard lock(mutex_);
    if (communicator_) nccl().ncclCommAbort(std::exchange(communicator_, nullptr));
  }

  void check() const override {
    const int64_t rank = lost_;
    if (rank >= 0) throw ProcessLost(rank, lost_process_text(names_[static_cast<size_t>(rank)]));
  }

  at::Tensor room_to(int64_t rank, at::IntArrayRef sizes, const at::TensorOptions& options) const override {
    return has_room(sizes, options) ? peers_->room_to(rank, sizes, options)
                                    : ProcessGroup::room_to(rank, sizes, options);
  }
  at::Tensor room_from(int64_t rank, at::IntArrayRef sizes, const at::TensorOptions& options) const override {
    return has_room(sizes, options) ? peers_->room_from(rank, sizes, options)
                                    : ProcessGroup::room_from(rank, sizes, options);
  }

 protected:
  void exchange_with_others(const std::vector<Transfer>& sends, const std::vector<Transfer>& receives) const override {
    const std::lock_guard lock(mutex_);
    check();
    const c10::DeviceGuard guard(device_);
    const auto in_a_room = [&](const Transfer& transfer) { return peers_ && peers_->holds(transfer.tensor); };
    if (!std::ranges::all_of(sends, in_a_room) || !std::ranges::all_of(receives, in_a_room)) {
      const cudaStream_t stream = c10::cuda::getCurrentCUDAStream(device_.index());
      check_nccl(nccl().ncclGroupStart(), "begin an exchange");
      for (const Transfer& send : sends) {
        if (in_a_room(send)) continue;
        check_nccl(nccl().ncclSend(send.tensor.const_data_ptr(), send.tensor.nbytes(), ncclInt8,
                                   static_cast<int>(send.rank), communicator_, stream),
                   "send");
      }
      for (const Transfer& receive : receives) {
        if (in_a_room(receive)) continue;
        check_nccl(nccl().ncclRecv(receive.tensor.data_ptr(), receive.tensor.nbytes(), ncclInt8,
                                   static_cast<int>(receive.rank), communicator_, stream),
                   "receive");
      }
      check_nccl(nccl().ncclGroupEnd(), "exchange");
    }
    if (peers_) peers_->signal();  // in every exchange, so that all count alike
  }

 private:
  bool has_room(at::IntArrayRef sizes, const at::TensorOptions& options) const {
    return peers_ &&
           c10::multiply_integers(sizes) * static_cast<int64_t>(options.dtype().itemsize()) <= peers_->room_bytes();
  }

  /// The bytes of all processes, by rank.
  std::vector<at::Tensor> share(const at::Tensor& own) const {
    std::vector<at::Tensor> all = gather(own.to(device_));
    for (at::Tensor& of_one : all) of_one = of_one.cpu();
    return all;
  }

  std::vector<std::string> names_;
  at::Device device_;
  mutable std::mutex mutex_;  // of communicator_
  ncclComm_t communicator_ = nullptr;
  std::unique_ptr<PeerMemory> peers_;  // null: they cannot write to each other's memory
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
