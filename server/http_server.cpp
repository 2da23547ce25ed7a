#include "server/http_server.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <regex>
#include <utility>

#include "core/check.h"
#include "core/error.h"
#include "core/error_report.h"
#include "server/api_error.h"

namespace flashblock {
namespace {

constexpr int kBacklog = 64;
/// Bytes that wait in the system for one client. Its own choice grows to megabytes, and a slow viewer would see what
/// was new minutes ago.
constexpr int kSendBufferBytes = 256 * 1024;

/// The regular expression of a pattern.
std::string route_expression(const std::string& pattern) {
  static const std::regex dot("\\."), part("\\{[a-z]+\\}");
  return std::regex_replace(std::regex_replace(pattern, dot, "\\."), part, "([A-Za-z0-9_-]+)");
}

struct AddressListFree {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

FileDescriptor listen_on(const std::string& address, int port) {
  const std::string where = address + ":" + std::to_string(port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int fault = ::getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found);
  const std::unique_ptr<addrinfo, AddressListFree> list(found);
  if (fault != 0) {
    throw ConfigError("cannot listen on " + where + ": " + ::gai_strerror(fault) +
                      "; give an address of this machine, such as 127.0.0.1:8080");
  }
  int error = 0;
  for (const addrinfo* entry = found; entry; entry = entry->ai_next) {
    FileDescriptor socket(::socket(entry->ai_family, entry->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    if (socket) ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (socket && ::bind(socket.get(), entry->ai_addr, entry->ai_addrlen) == 0 &&
        ::listen(socket.get(), kBacklog) == 0) {
      return socket;
    }
    error = errno;
  }
  throw ConfigError("cannot listen on " + where + ": " + std::strerror(error) +
                    (error == EADDRINUSE ? "; another program has this port, give another one" : ""));
}

int bound_port(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

void prepare_client_socket(int socket) {
  const int on = 1, bytes = kSendBufferBytes;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

/// What a handler's exception means for the one who asked.
Refusal refusal_of(const std::exception_ptr& fault) {
  try {
    std::rethrow_exception(fault);
  } catch (const ApiError& error) {
    return error.refusal();
  } catch (const ConfigError& error) {
    return {400, "invalid_value", error.what()};
  } catch (...) {
    return {500, "internal_error", report_error(fault).line};
  }
}

}  // namespace

/// cpp-httplib's parser and answers, without its sockets.
class HttpServer::Routes : public httplib::Server {
 public:
  Routes() {
    svr_sock_ = 0;  // it takes a server without a socket for one that shuts down
    set_exception_handler([](const httplib::Request&, httplib::Response& response, std::exception_ptr fault) {
      answer(refusal_of(fault), response);
    });
    set_error_handler([](const httplib::Request&, httplib::Response& response) {
      if (!response.body.empty()) return;
      if (response.status == 404) answer({404, "not_found", "there is nothing at this address"}, response);
      if (response.status == 400) answer({400, "bad_request", "this is no request that is understood here"}, response);
      if (response.status == 416) answer({416, "range", "wanted a range of bytes, such as bytes=0-1023"}, response);
    });
  }

  void add(const std::string& method, const std::string& pattern, Handler handler) {
    const std::string expression = route_expression(pattern);
    known_.push_back({method, std::regex(expression)});
    FB_CHECK(method == "GET" || method == "POST" || method == "DELETE", method);
    if (method == "GET") Get(expression, std::move(handler));
    if (method == "POST") Post(expression, std::move(handler));
    if (method == "DELETE") Delete(expression, std::move(handler));
  }

  /// Answers a request whose path is known, but not with that method.
  bool refuse_method(const httplib::Request& request, httplib::Response& response) const {
    std::string allowed;
    for (const Known& route : known_) {
      if (!std::regex_match(request.path, route.path)) continue;
      if (route.method == request.method || (route.method == "GET" && request.method == "HEAD")) return false;
      allowed += (allowed.empty() ? "" : ", ") + route.method + (route.method == "GET" ? ", HEAD" : "");
    }
    if (allowed.empty()) return false;
    answer({405, "method_not_allowed", "this method is not possible here, only " + allowed}, response);
    response.set_header("Allow", allowed);
    return true;
  }

  /// Answers the request that `connection` holds. False: the connection cannot go on.
  bool process(Connection& connection) {
    bool closed = false;
    const bool answered =
        process_request(connection, /*close_connection=*/false, closed, [](httplib::Request& request) {
          request.headers.erase("Expect");           // answered when the request was received
          request.headers.erase("Accept-Encoding");  // what is large here is compressed already
          request.ranges.clear();  // cpp-httplib would cut any answer; handlers that can, read the header
        });
    return answered && !closed;
  }

 private:
  struct Known {
    std::string method;
    std::regex path;
  };
  std::vector<Known> known_;
};

/// A client and its thread.
struct HttpServer::Client {
  Client(FileDescriptor socket, const HttpServerOptions& options, std::atomic<int64_t>& bytes_sent)
      : connection(std::move(socket), options.limits, options.times, bytes_sent) {}

  Connection connection;
  std::atomic<bool> finished{false};
  std::thread thread;
};

HttpServer::HttpServer(HttpServerOptions options)
    : options_(std::move(options)),
      routes_(std::make_unique<Routes>()),
      listener_(listen_on(options_.address, options_.port)),
      wake_(::eventfd(0, EFD_CLOEXEC)),
      port_(bound_port(listener_.get())) {
  if (!wake_) throw DeviceError(std::string("cannot make an eventfd: ") + std::strerror(errno));
}

HttpServer::~HttpServer() { stop(); }

void HttpServer::route(const std::string& method, const std::string& pattern, Handler handler) {
  routes_->add(method, pattern, std::move(handler));
}

void HttpServer::set_gate(Gate gate, Handler on_answer) {
  using Response = httplib::Server::HandlerResponse;
  routes_->set_pre_routing_handler([this, gate = std::move(gate)](const auto& request, auto& response) {
    ++requests_;
    return gate(request, response) || routes_->refuse_method(request, response) ? Response::Handled
                                                                                : Response::Unhandled;
  });
  routes_->set_post_routing_handler(std::move(on_answer));
}

void HttpServer::start() {
  acceptor_ = std::thread([this] { accept_clients(); });
}

void HttpServer::stop() {
  if (stopping_.exchange(true)) return;
  ::eventfd_write(wake_.get(), 1);
  if (acceptor_.joinable()) acceptor_.join();
  for (Client& client : clients_) client.connection.shut_down();
  for (Client& client : clients_) client.thread.join();
  clients_.clear();
}

HttpServerCounts HttpServer::counts() const {
  HttpServerCounts counts{
      .accepted = accepted_, .turned_away = turned_away_, .requests = requests_, .bytes_sent = bytes_sent_};
  const std::lock_guard lock(mutex_);
  for (const Client& client : clients_) counts.connections += !client.finished;
  return counts;
}

void HttpServer::accept_clients() {
  constexpr int kReapMilliseconds = 1000;
  while (!stopping_) {
    pollfd waiting[] = {{.fd = listener_.get(), .events = POLLIN, .revents = 0},
                        {.fd = wake_.get(), .events = POLLIN, .revents = 0}};
    const int ready = ::poll(waiting, 2, kReapMilliseconds);
    reap_finished();
    if (ready <= 0 || stopping_) continue;
    FileDescriptor socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (socket) {
      admit(std::move(socket));
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));  // until a connection ends
    }
  }
}

void HttpServer::admit(FileDescriptor socket) {
  ++accepted_;
  prepare_client_socket(socket.get());
  const std::lock_guard lock(mutex_);
  if (clients_.size() >= options_.max_connections) {
    ++turned_away_;
    static const std::string body = error_body({503, "too_many_connections", "too many connections, try again later"});
    static const std::string text =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 5\r\nContent-Length: " +
        std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body;
    [[maybe_unused]] const ssize_t sent = ::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return;
  }
  Client& client = clients_.emplace_back(std::move(socket), options_, bytes_sent_);
  try {
    client.thread = std::thread([this, &client] { serve(client); });
  } catch (const std::system_error&) {  // no more threads
    ++turned_away_;
    clients_.pop_back();
  }
}

void HttpServer::serve(Client& client) {
  try {
    while (!stopping_ && client.connection.receive_request()) {
      if (!routes_->process(client.connection)) break;
    }
  } catch (const std::exception&) {  // out of memory, say: this connection ends, the others go on
  }
  client.connection.shut_down();
  client.finished = true;
}

void HttpServer::reap_finished() {
  const std::lock_guard lock(mutex_);
  for (auto client = clients_.begin(); client != clients_.end();) {
    if (!client->finished) {
      ++client;
      continue;
    }
    client->thread.join();
    client = clients_.erase(client);
  }
}

}  // namespace flashblock
