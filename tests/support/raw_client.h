// A TCP client that sends exactly the given bytes.
#pragma once

#include <string>

#include "core/file_descriptor.h"

namespace flashblock::testing {

/// A TCP connection to a server on this machine. Reads time out after 30 s.
class RawClient {
 public:
  /// `receive_bytes`: size of the receive buffer; 0: the system's default.
  explicit RawClient(int port, int receive_bytes = 0);

  /// False if the server has disconnected.
  bool send(const std::string& bytes);
  /// The next bytes, at most `most`; empty at the end of the connection or after a timeout.
  std::string receive(size_t most = 65536);
  /// All bytes up to the end of the connection.
  std::string receive_all();
  /// Headers and body of one response that has a Content-Length.
  std::string receive_answer();
  void close() { socket_.close(); }

 private:
  FileDescriptor socket_;
  std::string pending_;  ///< received, not yet returned
};

/// A GET request with the required headers and `more`, each ending in \r\n.
std::string get_request(const std::string& target, const std::string& more = "");
/// A POST request with a JSON body.
std::string post_request(const std::string& target, const std::string& json, const std::string& more = "");

/// The response to one request on a new connection.
std::string exchange(int port, const std::string& request);
int status_of(const std::string& answer);
std::string body_of(const std::string& answer);
/// The body of a chunked response.
std::string unchunked(const std::string& answer);

}  // namespace flashblock::testing
