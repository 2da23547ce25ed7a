// One client's connection: whole requests in, answers out, with a limit on everything a client may make us wait for.
#pragma once

#include <httplib.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "core/file_descriptor.h"
#include "server/request_head.h"

namespace flashblock {

/// How long a client may take.
struct ConnectionTimes {
  std::chrono::milliseconds request{10'000};  ///< from a request's first byte to its last
  std::chrono::milliseconds idle{15'000};     ///< between two requests
  std::chrono::milliseconds write{15'000};    ///< without taking a single byte of the answer
};

/// A connected socket as cpp-httplib sees it: it reads one request that has arrived in whole, and writes the answer.
/// Thread safety: the owner's thread uses it; any thread may call shut_down.
class Connection : public httplib::Stream {
 public:
  Connection(FileDescriptor socket, const RequestLimits& limits, const ConnectionTimes& times,
             std::atomic<int64_t>& bytes_sent);

  /// Waits for the next request. False: there is none, the client is gone or was answered with a refusal.
  bool receive_request();
  /// Sends an answer to a request that is not worth more work, and lets no more come.
  void refuse(const Refusal& refusal);
  /// Makes the client's end of the connection, and all waiting for it, end now.
  void shut_down();

  bool is_readable() const override { return taken_ < request_.size(); }
  /// Whether the client is still there.
  bool is_writable() const override;
  ssize_t read(char* bytes, size_t size) override;
  ssize_t write(const char* bytes, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const;  // not in every version of httplib::Stream
  /// cpp-httplib only asks whether it could use select(2) on it; it never has to.
  socket_t socket() const override { return 0; }

 private:
  using Clock = std::chrono::steady_clock;

  /// Reads until `arrived_` is longer; false: not before `deadline`, or never again.
  bool receive_more(Clock::time_point deadline);
  bool wait_for(short events, Clock::time_point deadline) const;

  FileDescriptor socket_;
  const RequestLimits& limits_;
  const ConnectionTimes& times_;
  std::atomic<int64_t>& bytes_sent_;
  std::string arrived_;  ///< bytes of later requests
  std::string request_;  ///< the request that is being answered
  size_t taken_ = 0;     ///< of it
};

}  // namespace flashblock
