#include "tests/support/raw_client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cstdlib>

namespace flashblock::testing {

RawClient::RawClient(int port, int receive_bytes) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const timeval patience{.tv_sec = 30, .tv_usec = 0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (receive_bytes > 0) ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
}

bool RawClient::send(const std::string& bytes) {
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t count = ::send(socket_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count < 0) return false;
    sent += static_cast<size_t>(count);
  }
  return true;
}

std::string RawClient::receive(size_t most) {
  if (!pending_.empty()) return std::exchange(pending_, {});
  std::string bytes(most, '\0');
  const ssize_t count = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
  bytes.resize(count > 0 ? static_cast<size_t>(count) : 0);
  return bytes;
}

std::string RawClient::receive_all() {
  std::string all;
  for (std::string bytes; !(bytes = receive()).empty();) all += bytes;
  return all;
}

std::string RawClient::receive_answer() {
  std::string answer;
  size_t head = answer.npos;
  while ((head = answer.find("\r\n\r\n")) == answer.npos) {
    const std::string bytes = receive();
    if (bytes.empty()) return answer;
    answer += bytes;
  }
  const size_t header = answer.find("Content-Length: ");
  const size_t length = header < head ? std::strtoull(answer.c_str() + header + 16, nullptr, 10) : 0;
  while (answer.size() < head + 4 + length) {
    const std::string bytes = receive();
    if (bytes.empty()) return answer;
    answer += bytes;
  }
  pending_ = answer.substr(head + 4 + length);
  return answer.substr(0, head + 4 + length);
}

std::string get_request(const std::string& target, const std::string& more) {
  return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n" + more + "\r\n";
}

std::string post_request(const std::string& target, const std::string& json, const std::string& more) {
  return "POST " + target + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(json.size()) + "\r\n" + more + "\r\n" + json;
}

std::string exchange(int port, const std::string& request) {
  RawClient client(port);
  client.send(request);
  return client.receive_answer();
}

int status_of(const std::string& answer) { return answer.starts_with("HTTP/1.1 ") ? std::atoi(answer.c_str() + 9) : 0; }

std::string body_of(const std::string& answer) {
  const size_t head = answer.find("\r\n\r\n");
  return head == answer.npos ? "" : answer.substr(head + 4);
}

std::string unchunked(const std::string& answer) {
  std::string body, rest = body_of(answer);
  for (size_t size = 0; (size = std::stoul(rest, nullptr, 16)) > 0;) {
    const size_t begin = rest.find("\r\n") + 2;
    body += rest.substr(begin, size);
    rest.erase(0, begin + size + 2);
  }
  return body;
}

}  // namespace flashblock::testing
