// A client that sends exactly the bytes a test wants it to.
#pragma once

#include <string>

#include "core/file_descriptor.h"

namespace flashblock::testing {

/// One TCP connection to a server on this machine. Gives up reading after half a minute.
class RawClient {
 public:
  /// `receive_bytes`: of the system's buffer; 0: its own choice.
  explicit RawClient(int port, int receive_bytes = 0);

  /// False if the other end is gone.
  bool send(const std::string& bytes);
  /// The next bytes, at most `most`; empty at the end.
  std::string receive(size_t most = 65536);
  /// All bytes up to the end of the connection.
  std::string receive_all();
  /// Headers and body of one answer that says its length.
  std::string receive_answer();
  void close() { socket_.close(); }

 private:
  FileDescriptor socket_;
  std::string pending_;  ///< received, not yet given out
};

/// GET with the headers that a request must have, and `more`, each ending in \r\n.
std::string get_request(const std::string& target, const std::string& more = "");
/// POST of JSON.
std::string post_request(const std::string& target, const std::string& json, const std::string& more = "");

/// One request on a connection of its own.
std::string exchange(int port, const std::string& request);
int status_of(const std::string& answer);
std::string body_of(const std::string& answer);
/// The body of an answer in chunks.
std::string unchunked(const std::string& answer);

}  // namespace flashblock::testing
