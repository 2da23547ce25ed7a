// A client's TCP connection, with a limit on everything a client can make the server wait for.
#pragma once

#include <sys/uio.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/file_descriptor.h"

namespace flashblock {

/// How long a client may take.
struct ConnectionTimes {
  std::chrono::milliseconds request{10'000};  ///< from a request's first byte to its last
  std::chrono::milliseconds idle{15'000};     ///< between two requests
  std::chrono::milliseconds write{15'000};    ///< without accepting a single byte of the response
};

/// A connected socket. Thread safety: one thread sends and receives; any thread may call shut_down.
class ClientSocket {
 public:
  using Clock = std::chrono::steady_clock;

  /// Counts what is sent in `bytes_sent`, which outlives the socket.
  ClientSocket(FileDescriptor socket, std::chrono::milliseconds write_time, std::atomic<int64_t>& bytes_sent);

  /// Waits for at least one byte until `deadline`. Returns the number of bytes; 0: the client has closed its sending
  /// side; -1: the deadline has passed, or the connection failed.
  ssize_t receive(char* bytes, size_t size, Clock::time_point deadline);

  /// Sends what the system takes of `parts` at once, at least one byte. Returns the number of bytes; 0: the client has
  /// disconnected, or has not accepted a byte for the whole write time.
  size_t send_some(std::span<const iovec> parts);
  /// Sends all of `bytes`. False: as send_some.
  bool send(std::string_view bytes);

  /// Whether the client has neither disconnected nor closed its sending side.
  bool is_open() const;
  /// Tells the client that no more will be sent.
  void finish_sending();
  /// Ends the connection, and every wait for it, now.
  void shut_down();

 private:
  bool wait_for(short events, Clock::time_point deadline) const;

  FileDescriptor socket_;
  std::chrono::milliseconds write_time_;
  std::atomic<int64_t>& bytes_sent_;
};

}  // namespace flashblock
