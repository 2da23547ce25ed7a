// The HTTP server: accepts connections and routes their requests to handlers.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/file_descriptor.h"
#include "server/connection.h"

namespace flashblock {

/// Where a server listens, and its limits.
struct HttpServerOptions {
  std::string address = "127.0.0.1";  ///< an IP address or host name of this machine
  int port = 8080;                    ///< 0: any that is free
  size_t max_connections = 128;       ///< any more are answered with 503 and closed
  RequestLimits limits;
  ConnectionTimes times;
};

/// Counters since the server was constructed.
struct HttpServerCounts {
  int64_t connections = 0;  ///< open now
  int64_t accepted = 0;
  int64_t rejected = 0;  ///< beyond the limit
  int64_t requests = 0;
  int64_t bytes_sent = 0;
};

/// Serves routes over HTTP, each connection on its own thread. Thread safety: routes are added before start(); all
/// other members may be called from any thread.
class HttpServer {
 public:
  using Handler = std::function<void(const HttpRequest&, HttpResponse&)>;
  /// Returns true if it has answered the request.
  using Gate = std::function<bool(const HttpRequest&, HttpResponse&)>;

  /// Binds and listens; connections wait until start(). Throws: ConfigError if the address is not available.
  explicit HttpServer(HttpServerOptions options);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Answers requests for `pattern`, in which a name in braces stands for one or more letters, digits, - and _, such as
  /// /v1/videos/{id}, and as {name...} for all that is left; they are the request's path parameters. GET answers HEAD,
  /// too.
  void route(const std::string& method, const std::string& pattern, Handler handler);
  /// `gate` is asked before every route, `on_answer` may change every response.
  void set_gate(Gate gate, Handler on_answer);

  void start();
  /// Ends all connections and waits for their threads. Also called by the destructor.
  void stop();

  /// Whether stop() has been called: handlers that wait give up.
  bool stopping() const { return stopping_; }
  const std::string& address() const { return options_.address; }
  int port() const { return port_; }
  HttpServerCounts counts() const;

 private:
  struct Route {
    std::string method, pattern;
    Handler handler;
  };
  struct Client;

  HttpResponse answer(HttpRequest& request) const;
  void answer_by_route(HttpRequest& request, HttpResponse& response) const;
  void accept_clients();
  void admit(FileDescriptor socket);
  void serve(Client& client);
  void reap_finished();

  HttpServerOptions options_;
  std::vector<Route> routes_;
  Gate gate_;
  Handler on_answer_;
  FileDescriptor listener_;
  int port_ = 0;
  std::atomic<int64_t> accepted_{0}, rejected_{0}, requests_{0}, bytes_sent_{0};
  mutable std::mutex mutex_;
  std::list<Client> clients_;
  std::atomic<bool> stopping_{false};
  std::thread acceptor_;
};

}  // namespace flashblock
