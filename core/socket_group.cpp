#include "core/socket_group.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <utility>

#include "core/check.h"

namespace flashblock {

/// Memory that is still to be sent, or to be filled.
struct SocketGroup::Bytes {
  char* data;
  size_t count;
};

/// What is still to be exchanged with one process.
struct SocketGroup::Traffic {
  std::deque<Bytes> out, in;
};

std::string lost_process_text(const std::string& name) { return "the process on " + name + " has ended"; }

SocketGroup::SocketGroup(int64_t rank, std::vector<FileDescriptor> sockets, std::vector<std::string> names)
    : ProcessGroup(rank, static_cast<int64_t>(sockets.size())), sockets_(std::move(sockets)), names_(std::move(names)) {
  FB_CHECK(names_.size() == sockets_.size() && !sockets_[static_cast<size_t>(rank)]);
}

void SocketGroup::throw_lost(size_t rank) const {
  throw ProcessLost(static_cast<int64_t>(rank), lost_process_text(names_[rank]));
}

void SocketGroup::exchange_with_others(const std::vector<Transfer>& sends,
                                       const std::vector<Transfer>& receives) const {
  std::vector<at::Tensor> kept;  // in host memory, until all is exchanged
  std::vector<std::pair<at::Tensor, at::Tensor>> to_device;
  std::vector<Traffic> traffic(sockets_.size());
  const auto bytes = [&](const at::Tensor& host) {
    kept.push_back(host);
    return Bytes{static_cast<char*>(host.data_ptr()), host.nbytes()};
  };
  for (const Transfer& send : sends) traffic[static_cast<size_t>(send.rank)].out.push_back(bytes(send.tensor.cpu()));
  for (const Transfer& receive : receives) {
    const at::Tensor& wanted = receive.tensor;
    const at::Tensor host =
        wanted.is_cpu() ? wanted : wanted.new_empty(wanted.sizes(), wanted.options().device(at::kCPU));
    if (!wanted.is_cpu()) to_device.emplace_back(wanted, host);
    traffic[static_cast<size_t>(receive.rank)].in.push_back(bytes(host));
  }
  move_bytes(traffic);
  for (const auto& [device, host] : to_device) device.copy_(host);
}

namespace {

enum class Moved { kSome, kNone, kClosed };

// `call`: send or recv, which neither waits nor raises a signal. Takes what it has moved off the front.
template <typename Queue, typename Call>
Moved move_front(Queue& queue, const Call& call) {
  auto& front = queue.front();
  const ssize_t moved = call(front.data, front.count);
  if (moved < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return Moved::kNone;
  if (moved <= 0) return Moved::kClosed;
  front.data += moved;
  front.count -= static_cast<size_t>(moved);
  if (front.count == 0) queue.pop_front();
  return Moved::kSome;
}

}  // namespace

// All sockets at once: two processes that first sent everything to each other would wait for each other. Those from
// which nothing is wanted are watched, too, since another process may wait in vain for one that has ended.
void SocketGroup::move_bytes(std::vector<Traffic>& traffic) const {
  for (;;) {
    std::vector<pollfd> files;
    bool done = true;
    for (size_t rank = 0; rank < traffic.size(); ++rank) {
      const bool out = !traffic[rank].out.empty(), in = !traffic[rank].in.empty();
      done = done && !out && !in;
      files.push_back({.fd = sockets_[rank].get(),  // poll skips -1
                       .events = static_cast<short>((out ? POLLOUT : 0) | (in ? POLLIN : 0) | POLLRDHUP)});
    }
    if (done) return;
    if (::poll(files.data(), files.size(), -1) < 0) continue;
    for (size_t rank = 0; rank < traffic.size(); ++rank) {
      const int socket = files[rank].fd;
      const short events = files[rank].revents;
      bool closed = (events & (POLLERR | POLLNVAL)) != 0;
      bool moved = false;
      if (events & POLLIN && !traffic[rank].in.empty()) {
        const Moved got = move_front(
            traffic[rank].in, [&](char* data, size_t count) { return ::recv(socket, data, count, MSG_DONTWAIT); });
        moved = got == Moved::kSome;
        closed = closed || got == Moved::kClosed;
      }
      if (events & POLLOUT && !traffic[rank].out.empty()) {
        const Moved sent = move_front(traffic[rank].out, [&](const char* data, size_t count) {
          return ::send(socket, data, count, MSG_DONTWAIT | MSG_NOSIGNAL);
        });
        closed = closed || sent == Moved::kClosed;
      }
      if (closed || (!moved && (events & (POLLRDHUP | POLLHUP)))) throw_lost(rank);
    }
  }
}

}  // namespace flashblock
