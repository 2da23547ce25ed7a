// The HTTP server: cpp-httplib reads and answers requests, the sockets and their limits are ours.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/file_descriptor.h"
#include "server/connection.h"

namespace flashblock {

/// Where a server listens and what it lets clients do.
struct HttpServerOptions {
  std::string address = "127.0.0.1";  ///< an IP address of this machine, or a name of it
  int port = 8080;                    ///< 0: any that is free
  size_t max_connections = 128;       ///< more are turned away at once with 503
  RequestLimits limits;
  ConnectionTimes times;
};

/// What happened since the server was made.
struct HttpServerCounts {
  int64_t connections = 0;  ///< open now
  int64_t accepted = 0;
  int64_t turned_away = 0;
  int64_t requests = 0;
  int64_t bytes_sent = 0;
};

/// Serves routes over HTTP, each connection on a thread of its own. cpp-httplib's own accept loop has a fixed pool of
/// threads, no limit on connections and waits for slow requests without end; so it only gets requests that are whole
/// (connection.h). Thread safety: routes are added before start(); all other members may be called from any thread.
class HttpServer {
 public:
  using Handler = std::function<void(const httplib::Request&, httplib::Response&)>;
  /// Returns true if it has answered the request.
  using Gate = std::function<bool(const httplib::Request&, httplib::Response&)>;

  /// Binds and listens; connections wait until start(). Throws: ConfigError if the address cannot be had.
  explicit HttpServer(HttpServerOptions options);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Answers requests for `pattern`, whose parts in braces stand for any word of letters, digits, - and _, such as
  /// /v1/videos/{id}; they are the request's `matches`, from 1. GET answers HEAD too.
  void route(const std::string& method, const std::string& pattern, Handler handler);
  /// Is asked before every route, and sees every answer on its way out.
  void set_gate(Gate gate, Handler on_answer);

  void start();
  /// Ends all connections and waits for their threads. Called by the destructor, too.
  void stop();

  const std::string& address() const { return options_.address; }
  int port() const { return port_; }
  HttpServerCounts counts() const;

 private:
  class Routes;
  struct Client;

  void accept_clients();
  void admit(FileDescriptor socket);
  void serve(Client& client);
  void reap_finished();

  HttpServerOptions options_;
  std::unique_ptr<Routes> routes_;
  FileDescriptor listener_, wake_;
  int port_ = 0;
  std::atomic<int64_t> accepted_{0}, turned_away_{0}, requests_{0}, bytes_sent_{0};
  mutable std::mutex mutex_;
  std::list<Client> clients_;
  std::atomic<bool> stopping_{false};
  std::thread acceptor_;
};

}  // namespace flashblock
