#include "server/connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "server/api_error.h"

namespace flashblock {
namespace {

/// What a refused client may still be sending when its connection is closed: reading it lets the refusal arrive.
constexpr size_t kDrainedBytes = 256 * 1024;
constexpr std::chrono::milliseconds kDrainTime{500};

}  // namespace

Connection::Connection(FileDescriptor socket, const RequestLimits& limits, const ConnectionTimes& times,
                       std::atomic<int64_t>& bytes_sent)
    : socket_(std::move(socket)), limits_(limits), times_(times), bytes_sent_(bytes_sent) {}

bool Connection::receive_request() {
  taken_ = 0;
  request_.clear();
  if (arrived_.empty() && !receive_more(Clock::now() + times_.idle)) return false;
  const auto deadline = Clock::now() + times_.request;
  size_t head_bytes;
  while ((head_bytes = end_of_head(arrived_)) == arrived_.npos) {
    if (arrived_.size() > limits_.head_bytes || !receive_more(deadline)) break;
  }
  if (std::min(head_bytes, arrived_.size()) > limits_.head_bytes) {
    refuse({431, "head_too_large",
            "the request's headers are longer than " + std::to_string(limits_.head_bytes) + " bytes"});
    return false;
  }
  if (head_bytes == arrived_.npos) {
    refuse({408, "too_slow", "the request did not arrive in time"});
    return false;
  }
  const auto checked = check_request_head(std::string_view(arrived_).substr(0, head_bytes), limits_);
  if (const auto* refusal = std::get_if<Refusal>(&checked)) {
    refuse(*refusal);
    return false;
  }
  const RequestHead& head = std::get<RequestHead>(checked);
  const size_t bytes = head_bytes + head.body_bytes;
  constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  if (head.wants_continue && arrived_.size() < bytes && write(kContinue.data(), kContinue.size()) < 0) return false;
  while (arrived_.size() < bytes) {
    if (receive_more(deadline)) continue;
    refuse({408, "too_slow", "the request's body did not arrive in time"});
    return false;
  }
  request_ = arrived_.substr(0, bytes);
  arrived_.erase(0, bytes);
  // cpp-httplib answers methods that it has never heard of with 400. One that it knows and no path here has is refused
  // with 405 and the methods of the path.
  if (head.foreign_bytes > 0) request_.replace(0, head.foreign_bytes, "PATCH");
  return true;
}

void Connection::refuse(const Refusal& refusal) {
  const std::string body = error_body(refusal);
  const std::string answer = "HTTP/1.1 " + std::to_string(refusal.status) + " " + reason_phrase(refusal.status) +
                             "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
                             "\r\nConnection: close\r\nX-Content-Type-Options: nosniff\r\n\r\n" + body;
  if (write(answer.data(), answer.size()) < 0) return;
  ::shutdown(socket_.get(), SHUT_WR);
  const auto deadline = Clock::now() + kDrainTime;
  for (size_t drained = 0; drained < kDrainedBytes && receive_more(deadline);) {
    drained += arrived_.size();
    arrived_.clear();
  }
}

void Connection::shut_down() { ::shutdown(socket_.get(), SHUT_RDWR); }

bool Connection::is_writable() const {
  pollfd poll{.fd = socket_.get(), .events = POLLRDHUP, .revents = 0};
  return ::poll(&poll, 1, 0) == 0;
}

ssize_t Connection::read(char* bytes, size_t size) {
  const size_t count = std::min(size, request_.size() - taken_);
  std::memcpy(bytes, request_.data() + taken_, count);
  taken_ += count;
  return static_cast<ssize_t>(count);
}

ssize_t Connection::write(const char* bytes, size_t size) {
  for (size_t written = 0; written < size;) {
    const ssize_t count = ::send(socket_.get(), bytes + written, size - written, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      written += static_cast<size_t>(count);
      bytes_sent_ += count;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (!wait_for(POLLOUT, Clock::now() + times_.write)) return -1;
    } else if (errno != EINTR) {
      return -1;
    }
  }
  return static_cast<ssize_t>(size);
}

void Connection::get_remote_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (::getpeername(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return;
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    ip = ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    port = ntohs(v4.sin_port);
  } else if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    ip = ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    port = ntohs(v6.sin6_port);
  }
}

void Connection::get_local_ip_and_port(std::string&, int&) const {}

bool Connection::receive_more(Clock::time_point deadline) {
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t count = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count > 0) {
      arrived_.append(buffer.data(), static_cast<size_t>(count));
      return true;
    }
    if (count == 0) return false;
    if (errno == EINTR) continue;
    if ((errno != EAGAIN && errno != EWOULDBLOCK) || !wait_for(POLLIN, deadline)) return false;
  }
}

bool Connection::wait_for(short events, Clock::time_point deadline) const {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd poll{.fd = socket_.get(), .events = events, .revents = 0};
    const int ready = ::poll(&poll, 1, static_cast<int>(left));
    if (ready > 0) return true;  // or an error, which the next send or recv will tell
    if (ready == 0 || errno != EINTR) return false;
  }
}

}  // namespace flashblock
