#include "server/http_server.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <utility>

#include "core/error.h"
#include "core/error_report.h"
#include "server/api_error.h"

namespace flashblock {
namespace {

constexpr int kBacklog = 64;
/// Bytes that the system queues for one client. By default the queue grows to megabytes, and a slow viewer would be
/// minutes behind.
constexpr int kSendBufferBytes = 256 * 1024;

/// The path parameters of `path` if it fits `pattern`.
std::optional<HttpFields> match(std::string_view pattern, std::string_view path) {
  constexpr std::string_view kWord = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-", kRest = "...";
  HttpFields parameters;
  while (!pattern.empty()) {
    size_t in_pattern = 1, in_path = 1;
    if (pattern.front() == '{') {
      in_pattern = pattern.find('}') + 1;
      std::string_view name = pattern.substr(1, in_pattern - 2);
      const bool rest = name.ends_with(kRest);
      if (rest) name.remove_suffix(kRest.size());
      in_path = rest ? path.size() : std::min(path.find_first_not_of(kWord), path.size());
      if (in_path == 0) return {};
      parameters.emplace_back(name, path.substr(0, in_path));
    } else if (path.empty() || path.front() != pattern.front()) {
      return {};
    }
    pattern.remove_prefix(in_pattern);
    path.remove_prefix(in_path);
  }
  if (!path.empty()) return {};
  return parameters;
}

/// Throws: ApiError 400 for a parameter that is given twice.
void check_query(const HttpRequest& request) {
  for (auto one = request.query.begin(); one != request.query.end(); ++one) {
    const bool twice =
        std::any_of(request.query.begin(), one, [&](const auto& other) { return other.first == one->first; });
    if (twice) throw ApiError({400, "invalid_value", one->first + ": the parameter is given twice", one->first});
  }
}

FileDescriptor listen_on(const std::string& address, int port) {
  const std::string where = address + ":" + std::to_string(port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int fault = ::getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found);
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list(found, ::freeaddrinfo);
  if (fault != 0) {
    throw ConfigError("cannot listen on " + where + ": " + ::gai_strerror(fault) +
                      "; wanted an address of this machine, such as 127.0.0.1:8080");
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
                    (error == EADDRINUSE ? "; another program uses this port" : ""));
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

}  // namespace

/// A client and its thread.
struct HttpServer::Client {
  Client(FileDescriptor socket, const HttpServerOptions& options, std::atomic<int64_t>& bytes_sent)
      : connection(std::move(socket), options.limits, options.times, bytes_sent) {}

  Connection connection;
  std::atomic<bool> finished{false};
  std::jthread thread;  // joined first
};

HttpServer::HttpServer(HttpServerOptions options)
    : options_(std::move(options)),
      listener_(listen_on(options_.address, options_.port)),
      port_(bound_port(listener_.get())) {}

HttpServer::~HttpServer() { stop(); }

void HttpServer::route(const std::string& method, const std::string& pattern, Handler handler) {
  routes_.push_back({method, pattern, std::move(handler)});
}

void HttpServer::set_gate(Gate gate, Handler on_answer) {
  gate_ = std::move(gate);
  on_answer_ = std::move(on_answer);
}

HttpResponse HttpServer::answer(HttpRequest& request) const {
  HttpResponse response;
  try {
    check_query(request);
    if (!gate_ || !gate_(request, response)) answer_by_route(request, response);
  } catch (const ApiError& error) {
    response = error_response(error.error());
  } catch (...) {  // the cause is for the operator of the server; the client learns only that it happened
    std::cerr << "flashblock: " << report_error(std::current_exception()).line << std::endl;
    response = error_response(
        {500, "internal_error", "the server failed to handle the request; who runs it finds the reason in its log"});
  }
  if (on_answer_) on_answer_(request, response);
  return response;
}

void HttpServer::answer_by_route(HttpRequest& request, HttpResponse& response) const {
  std::string allowed;
  for (const Route& route : routes_) {
    auto parameters = match(route.pattern, request.path);
    if (!parameters) continue;
    if (route.method == request.method || (route.method == "GET" && request.method == "HEAD")) {
      request.path_parameters = std::move(*parameters);
      return route.handler(request, response);
    }
    allowed += (allowed.empty() ? "" : ", ") + route.method + (route.method == "GET" ? ", HEAD" : "");
  }
  if (allowed.empty()) throw ApiError({404, "not_found", "there is nothing at this address"});
  response = error_response({405, "method_not_allowed", "the method is not supported here, only " + allowed});
  response.set_header("Allow", allowed);
}

void HttpServer::start() {
  acceptor_ = std::thread([this] { accept_clients(); });
}

void HttpServer::stop() {
  if (stopping_.exchange(true)) return;
  ::shutdown(listener_.get(), SHUT_RDWR);  // ends the wait for connections
  if (acceptor_.joinable()) acceptor_.join();
  for (Client& client : clients_) client.connection.shut_down();
  clients_.clear();
}

HttpServerCounts HttpServer::counts() const {
  HttpServerCounts counts{
      .accepted = accepted_, .rejected = rejected_, .requests = requests_, .bytes_sent = bytes_sent_};
  const std::lock_guard lock(mutex_);
  for (const Client& client : clients_) counts.connections += !client.finished;
  return counts;
}

void HttpServer::accept_clients() {
  constexpr int kReapMilliseconds = 1000;
  while (!stopping_) {
    pollfd waiting{.fd = listener_.get(), .events = POLLIN, .revents = 0};
    const int ready = ::poll(&waiting, 1, kReapMilliseconds);
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
    ++rejected_;
    Connection(std::move(socket), options_.limits, options_.times, bytes_sent_)
        .respond(error_response({503, "too_many_connections", "too many connections, try again later"}));
    return;
  }
  Client& client = clients_.emplace_back(std::move(socket), options_, bytes_sent_);
  try {
    client.thread = std::jthread([this, &client] { serve(client); });
  } catch (const std::system_error&) {  // no more threads
    ++rejected_;
    clients_.pop_back();
  }
}

void HttpServer::serve(Client& client) {
  try {
    while (!stopping_) {
      auto request = client.connection.receive();
      if (!request) break;
      ++requests_;
      if (!client.connection.respond(answer(*request))) break;
    }
  } catch (const std::exception&) {  // such as an unreadable file: this connection ends, the others continue
  }
  client.connection.shut_down();
  client.finished = true;
}

void HttpServer::reap_finished() {
  const std::lock_guard lock(mutex_);
  clients_.remove_if([](const Client& client) { return client.finished.load(); });
}

}  // namespace flashblock
