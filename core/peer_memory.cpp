#include "core/peer_memory.h"

#ifdef FLASHBLOCK_CUDA

#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <c10/core/DeviceGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include <cstring>
#include <map>
#include <mutex>
#include <string>

#include "core/check.h"
#include "core/error.h"
#include "core/kernels/peer_signal.h"

namespace flashblock {
namespace {

/// Of all rooms of one round of a process: twice the queries, keys and values of a frame block of the 14B models.
constexpr int64_t kRoundBytes = 64 << 20;
constexpr int64_t kCounterBytes = 256;  // apart, so that rooms begin at such a multiple
constexpr int64_t kMemoryBytes = kCounterBytes + 2 * kRoundBytes;

static_assert(kCounterBytes >= PeerSignal::kMost * int64_t{sizeof(uint32_t)});

/// Memory of a GPU, kept for the next group when one has ended: other processes may still have it mapped, so that it
/// must not be freed.
class KeptMemory {
 public:
  static KeptMemory& all() {
    static KeptMemory kept;
    return kept;
  }
  /// Null if there is none. The counters are 0.
  char* take(at::Device device) {
    const c10::DeviceGuard guard(device);
    void* memory = nullptr;
    const std::lock_guard lock(mutex_);
    std::vector<char*>& kept = kept_[device.index()];
    if (!kept.empty()) {
      memory = kept.back();
      kept.pop_back();
    } else if (cudaMalloc(&memory, kMemoryBytes) != cudaSuccess) {
      cudaGetLastError();
      return nullptr;
    }
    cudaMemset(memory, 0, kCounterBytes);
    cudaDeviceSynchronize();
    return static_cast<char*>(memory);
  }
  void give_back(at::Device device, char* memory) {
    const std::lock_guard lock(mutex_);
    kept_[device.index()].push_back(memory);
  }

 private:
  std::mutex mutex_;
  std::map<int, std::vector<char*>> kept_;  // by device
};

bool succeeded(cudaError_t status) {
  if (status != cudaSuccess) cudaGetLastError();  // or the next check of somebody else would find it
  return status == cudaSuccess;
}

}  // namespace

PeerMemory::PeerMemory(int64_t rank, int64_t count, at::Device device)
    : rank_(rank),
      room_bytes_(kRoundBytes / (count - 1) / kCounterBytes * kCounterBytes),
      device_(device),
      memory_(static_cast<size_t>(count)) {
  memory_[static_cast<size_t>(rank)] = KeptMemory::all().take(device);
}

PeerMemory::~PeerMemory() {
  const c10::DeviceGuard guard(device_);
  give_up();  // of a process that has ended without anybody having been told
  cudaDeviceSynchronize();
  for (char* opened : opened_) cudaIpcCloseMemHandle(opened);
  if (char* own = memory_[static_cast<size_t>(rank_)]) KeptMemory::all().give_back(device_, own);
  if (given_up_) cudaFreeHost(given_up_);
}

std::unique_ptr<PeerMemory> PeerMemory::connect(int64_t rank, int64_t count, at::Device device, const Share& share) {
  const c10::DeviceGuard guard(device);
  if (count > PeerSignal::kMost) return nullptr;
  std::unique_ptr<PeerMemory> peers(new PeerMemory(rank, count, device));
  char* own = peers->memory_[static_cast<size_t>(rank)];
  const at::Tensor handle = at::zeros({sizeof(cudaIpcMemHandle_t)}, at::kByte);  // opens nothing
  bool reached = own && succeeded(cudaIpcGetMemHandle(static_cast<cudaIpcMemHandle_t*>(handle.data_ptr()), own)) &&
                 succeeded(cudaHostAlloc(&peers->given_up_, sizeof *peers->given_up_, cudaHostAllocDefault));
  if (reached) *peers->given_up_ = 0;
  const std::vector<at::Tensor> handles = share(handle);
  for (int64_t other = 0; other < count; ++other)
    reached = reached && (other == rank || peers->open(other, handles[static_cast<size_t>(other)]));
  at::Tensor all_reached = at::zeros({1}, at::kByte);
  all_reached.fill_(reached);
  for (const at::Tensor& of_one : share(all_reached)) reached = reached && of_one.item<uint8_t>() != 0;
  return reached ? std::move(peers) : nullptr;
}

bool PeerMemory::open(int64_t rank, const at::Tensor& handle) {
  cudaIpcMemHandle_t its;
  std::memcpy(&its, handle.const_data_ptr(), sizeof its);
  void* memory = nullptr;
  if (!succeeded(cudaIpcOpenMemHandle(&memory, its, cudaIpcMemLazyEnablePeerAccess))) return false;
  opened_.push_back(static_cast<char*>(memory));
  memory_[static_cast<size_t>(rank)] = opened_.back();
  return true;
}

char* PeerMemory::room(int64_t in, int64_t from) const {
  const int64_t index = from < in ? from : from - 1;  // there is none for itself
  return memory_[static_cast<size_t>(in)] + kCounterBytes + signals_ % 2 * kRoundBytes + index * room_bytes_;
}

at::Tensor PeerMemory::room_to(int64_t rank, at::IntArrayRef sizes, const at::TensorOptions& options) const {
  return at::for_blob(room(rank, rank_), sizes).options(options).target_device(device_).make_tensor();
}

at::Tensor PeerMemory::room_from(int64_t rank, at::IntArrayRef sizes, const at::TensorOptions& options) const {
  return at::for_blob(room(rank_, rank), sizes).options(options).target_device(device_).make_tensor();
}

bool PeerMemory::holds(const at::Tensor& tensor) const {
  const auto* data = static_cast<const char*>(tensor.const_data_ptr());
  return std::ranges::any_of(memory_,
                             [&](const char* memory) { return data >= memory && data < memory + kMemoryBytes; });
}

void PeerMemory::signal() {
  PeerSignal signal{.theirs = {}, .ours = {}, .others = 0, .count = ++signals_, .given_up = given_up_};
  const auto counters = [&](size_t of) { return reinterpret_cast<uint32_t*>(memory_[of]); };
  for (size_t other = 0; other < memory_.size(); ++other) {
    if (static_cast<int64_t>(other) == rank_) continue;
    signal.theirs[signal.others] = counters(other) + rank_;
    signal.ours[signal.others++] = counters(static_cast<size_t>(rank_)) + other;
  }
  const cudaError_t status = launch_peer_signal(signal, c10::cuda::getCurrentCUDAStream(device_.index()));
  if (status != cudaSuccess) throw DeviceError(std::string("CUDA kernel peer_signal: ") + cudaGetErrorString(status));
}

void PeerMemory::give_up() {
  if (given_up_) *static_cast<volatile int*>(given_up_) = 1;
}

}  // namespace flashblock

#endif
