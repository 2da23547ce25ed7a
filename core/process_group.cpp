#include "core/process_group.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>

#include "core/check.h"

namespace flashblock {

void ProcessGroup::exchange(const std::vector<Transfer>& sends, const std::vector<Transfer>& receives) const {
  std::vector<Transfer> out, in, own;
  for (const Transfer& send : sends) {
    FB_CHECK(send.tensor.is_contiguous() && send.rank >= 0 && send.rank < size_, "to process ", send.rank);
    if (send.rank != rank_ && send.tensor.numel() == 0) continue;  // no more than its receiver waits for it
    (send.rank == rank_ ? own : out).push_back(send);
    if (send.rank != rank_) bytes_sent_ += static_cast<int64_t>(send.tensor.nbytes());
  }
  size_t next_own = 0;
  for (const Transfer& receive : receives) {
    FB_CHECK(receive.tensor.is_contiguous() && receive.rank >= 0 && receive.rank < size_, "from ", receive.rank);
    if (receive.rank != rank_) {
      if (receive.tensor.numel() > 0) in.push_back(receive);
      continue;
    }
    FB_CHECK(next_own < own.size(), "nothing is sent to the process itself");
    receive.tensor.view(-1).copy_(own[next_own++].tensor.view(-1));  // shapes may differ
  }
  exchange_with_others(out, in);
}

at::Tensor ProcessGroup::room_to(int64_t, at::IntArrayRef sizes, const at::TensorOptions& options) const {
  return at::empty(sizes, options);
}

at::Tensor ProcessGroup::room_from(int64_t, at::IntArrayRef sizes, const at::TensorOptions& options) const {
  return at::empty(sizes, options);
}

std::vector<at::Tensor> ProcessGroup::gather(const at::Tensor& x) const {
  const at::Tensor own = x.contiguous();
  std::vector<Transfer> sends, receives;
  std::vector<at::Tensor> all;
  for (int64_t rank = 0; rank < size_; ++rank) {
    all.push_back(at::empty(own.sizes(), own.options()));
    sends.push_back({rank, own});
    receives.push_back({rank, all.back()});
  }
  exchange(sends, receives);
  return all;
}

at::Tensor ProcessGroup::sum(const at::Tensor& x) const { return at::stack(gather(x)).sum(0); }

}  // namespace flashblock
