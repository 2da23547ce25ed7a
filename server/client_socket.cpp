#include "server/client_socket.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace flashblock {

ClientSocket::ClientSocket(FileDescriptor socket, std::chrono::milliseconds write_time,
                           std::atomic<int64_t>& bytes_sent)
    : socket_(std::move(socket)), write_time_(write_time), bytes_sent_(bytes_sent) {}

ssize_t ClientSocket::receive(char* bytes, size_t size, Clock::time_point deadline) {
  for (;;) {
    const ssize_t count = ::recv(socket_.get(), bytes, size, MSG_DONTWAIT);
    if (count >= 0) return count;
    if (errno == EINTR) continue;
    if ((errno != EAGAIN && errno != EWOULDBLOCK) || !wait_for(POLLIN, deadline)) return -1;
  }
}

size_t ClientSocket::send_some(std::span<const iovec> parts) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts.data());  // which sendmsg does not change
  message.msg_iovlen = parts.size();
  for (;;) {
    const ssize_t count = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      bytes_sent_ += count;
      return static_cast<size_t>(count);
    }
    if (errno == EINTR) continue;
    if ((errno != EAGAIN && errno != EWOULDBLOCK) || !wait_for(POLLOUT, Clock::now() + write_time_)) return 0;
  }
}

bool ClientSocket::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    const size_t count = send_some({&part, 1});
    if (count == 0) return false;
    bytes.remove_prefix(count);
  }
  return true;
}

bool ClientSocket::is_open() const {
  pollfd poll{.fd = socket_.get(), .events = POLLRDHUP, .revents = 0};
  return ::poll(&poll, 1, 0) == 0;
}

void ClientSocket::finish_sending() { ::shutdown(socket_.get(), SHUT_WR); }

void ClientSocket::shut_down() { ::shutdown(socket_.get(), SHUT_RDWR); }

bool ClientSocket::wait_for(short events, Clock::time_point deadline) const {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd poll{.fd = socket_.get(), .events = events, .revents = 0};
    const int ready = ::poll(&poll, 1, static_cast<int>(left));
    if (ready > 0) return true;  // or a fault, which the next call on the socket reports
    if (ready == 0 || errno != EINTR) return false;
  }
}

}  // namespace flashblock
