#include "server/connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/chunk_encode.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <cerrno>
#include <ctime>
#include <string_view>
#include <utility>

#include "server/conditional.h"
#include "server/request_head.h"

namespace flashblock {
namespace {

namespace net = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

/// What a rejected client may still send before its connection is closed. Reading it lets the response arrive: closing
/// a socket with unread bytes resets the connection.
constexpr size_t kDrainedBytes = 256 * 1024;
constexpr std::chrono::milliseconds kDrainTime{500};
constexpr size_t kReadBytes = 4096;

using Clock = std::chrono::steady_clock;

/// A connected socket as Beast's SyncReadStream and SyncWriteStream, with a limit on everything a client can make the
/// server wait for.
class SocketStream {
 public:
  /// Reads until `read_deadline`.
  SocketStream(const FileDescriptor& socket, std::chrono::milliseconds write_time, std::atomic<int64_t>& bytes_sent,
               Clock::time_point read_deadline = {})
      : socket_(socket.get()), write_time_(write_time), bytes_sent_(bytes_sent), read_deadline_(read_deadline) {}

  template <class Buffers>
  size_t read_some(const Buffers& buffers, error_code& fault) {
    const net::mutable_buffer buffer = *net::buffer_sequence_begin(buffers);
    const ssize_t count =
        retry(POLLIN, read_deadline_, [&] { return ::recv(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT); });
    fault = {};
    if (count == 0) fault = net::error::eof;
    if (count < 0) fault = net::error::timed_out;
    return static_cast<size_t>(std::max<ssize_t>(count, 0));
  }

  template <class Buffers>
  size_t write_some(const Buffers& buffers, error_code& fault) {
    std::array<iovec, 8> parts;
    msghdr message{};
    message.msg_iov = parts.data();
    for (auto part = net::buffer_sequence_begin(buffers);
         part != net::buffer_sequence_end(buffers) && message.msg_iovlen < parts.size(); ++part) {
      const net::const_buffer buffer = *part;
      if (buffer.size() > 0) parts[message.msg_iovlen++] = {const_cast<void*>(buffer.data()), buffer.size()};
    }
    fault = {};
    if (message.msg_iovlen == 0) return 0;
    const ssize_t sent = retry(POLLOUT, Clock::now() + write_time_,
                               [&] { return ::sendmsg(socket_, &message, MSG_NOSIGNAL | MSG_DONTWAIT); });
    if (sent <= 0) fault = net::error::connection_reset;
    bytes_sent_ += std::max<ssize_t>(sent, 0);
    return static_cast<size_t>(std::max<ssize_t>(sent, 0));
  }

  // The concepts ask for overloads that throw, too; they are never called.
  template <class Buffers>
  size_t read_some(const Buffers& buffers);
  template <class Buffers>
  size_t write_some(const Buffers& buffers);

  /// Whether the client has neither disconnected nor closed its sending side.
  bool is_open() const {
    pollfd poll{.fd = socket_, .events = POLLRDHUP, .revents = 0};
    return ::poll(&poll, 1, 0) == 0;
  }

 private:
  /// The result of `call`, which does not block: repeated until it succeeds, fails, or `deadline` has passed.
  template <class Call>
  ssize_t retry(short event, Clock::time_point deadline, const Call& call) const {
    for (;;) {
      const ssize_t count = call();
      if (count >= 0 || (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK)) return count;
      if (errno == EINTR) continue;
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
      pollfd poll{.fd = socket_, .events = event, .revents = 0};
      if (left <= 0 || (::poll(&poll, 1, static_cast<int>(left)) <= 0 && errno != EINTR)) return -1;
    }
  }

  const int socket_;
  const std::chrono::milliseconds write_time_;
  std::atomic<int64_t>& bytes_sent_;
  const Clock::time_point read_deadline_;
};

/// A body that a handler writes: with a Content-Length, in chunks, or up to the end of the connection.
class SocketBody : public BodySink {
 public:
  SocketBody(SocketStream& stream, bool chunks) : stream_(stream), chunks_(chunks) {}

  bool write(std::string_view bytes) override {
    if (bytes.empty() || !good_) return good_;
    const net::const_buffer buffer(bytes.data(), bytes.size());
    if (chunks_) {
      send(http::make_chunk(buffer));
    } else {
      send(buffer);
    }
    written_ += static_cast<int64_t>(bytes.size());
    return good_;
  }
  bool is_open() const override { return good_ && stream_.is_open(); }

  /// Whether the body is complete: as long as promised, or ended with the last chunk.
  bool finish(std::optional<int64_t> length) {
    if (!good_ || !chunks_) return good_ && length == written_;
    send(http::make_chunk_last());
    return good_;
  }

 private:
  template <class Buffers>
  void send(const Buffers& buffers) {
    error_code fault;
    net::write(stream_, buffers, fault);
    good_ = !fault;
  }

  SocketStream& stream_;
  const bool chunks_;
  bool good_ = true;
  int64_t written_ = 0;
};

std::string to_string(boost::beast::string_view text) { return {text.data(), text.size()}; }

HttpRequest request_of(const http::request<http::string_body>& message) {
  HttpRequest request{.method = to_string(message.method_string())};
  std::string target = to_string(message.target());
  const auto authority = take_authority(target);
  set_target(request, std::move(target));
  for (const auto& field : message) {
    const bool replaced = authority && field.name() == http::field::host;
    request.headers.emplace_back(to_string(field.name_string()), replaced ? *authority : to_string(field.value()));
  }
  // Health checks of proxies send HTTP/1.0 without the header. Source: RFC 9112, section 3.3.
  if (message.version() == 10 && !request.has_header("Host")) request.headers.emplace_back("Host", "localhost");
  return request;
}

/// The response to a request that could not be read.
HttpError error_of(const error_code& fault, const RequestLimits& limits) {
  if (fault == http::error::header_limit) {
    return {431, "head_too_large",
            "the request's headers are longer than " + std::to_string(limits.head_bytes) + " bytes"};
  }
  if (fault == http::error::body_limit) {
    return {413, "body_too_large", "the request's body is larger than " + std::to_string(limits.body_bytes) + " bytes"};
  }
  if (fault == http::error::bad_version) return {505, "http_version", "only HTTP/1.1 and HTTP/1.0 are supported"};
  if (fault == http::error::buffer_overflow) return {413, "body_too_large", "the body's chunks are not acceptable"};
  const bool ended = fault == http::error::partial_message || fault == http::error::end_of_stream;
  if (ended || fault.category() != make_error_code(http::error::bad_method).category()) {
    return {408, "too_slow", "the request did not arrive in time"};
  }
  return {400, "bad_request", "this is not an HTTP request: " + fault.message()};
}

}  // namespace

Connection::Connection(FileDescriptor socket, const RequestLimits& limits, const ConnectionTimes& times,
                       std::atomic<int64_t>& bytes_sent)
    : socket_(std::move(socket)), limits_(limits), times_(times), bytes_sent_(bytes_sent) {}

std::optional<HttpRequest> Connection::receive() {
  const auto rejected = [this](const HttpError& error) {
    reject(error);
    return std::nullopt;
  };
  pending_ = {};
  // Between the chunks of a body may be any amount of text; a larger one than this is refused.
  auto buffer = net::dynamic_buffer(received_, limits_.head_bytes + limits_.body_bytes + kReadBytes);
  error_code fault;
  if (received_.empty()) {
    SocketStream idle(socket_, times_.write, bytes_sent_, Clock::now() + times_.idle);
    buffer.commit(idle.read_some(buffer.prepare(kReadBytes), fault));
    if (fault) return {};
  }
  if (received_.starts_with("\r\n")) buffer.consume(2);  // behind the last body. Source: RFC 9112, section 2.2
  SocketStream stream(socket_, times_.write, bytes_sent_, Clock::now() + times_.request);
  http::request_parser<http::string_body> parser;
  parser.header_limit(static_cast<uint32_t>(limits_.head_bytes));
  parser.body_limit(limits_.body_bytes);
  http::read_header(stream, buffer, parser, fault);
  if (fault) return rejected(error_of(fault, limits_));
  HttpRequest request = request_of(parser.get());
  if (const auto error = check_request_head(request, limits_)) return rejected(*error);
  const bool current = parser.get().version() == 11;
  if (parser.chunked() && !current) {
    return rejected({400, "bad_request", "HTTP/1.0 has no Transfer-Encoding"});
  }
  const size_t expected = parser.chunked() ? 1 : parser.content_length().value_or(0);  // bytes
  if (request.has_header("Expect") && current && buffer.size() < expected) {
    http::response<http::empty_body> interim(http::status::continue_, 11);
    http::write(stream, interim, fault);
    if (fault) return {};
  }
  http::read(stream, buffer, parser, fault);
  if (fault) return rejected(error_of(fault, limits_));
  request.body = std::move(parser.get().body());
  pending_ = {.head_only = request.method == "HEAD", .chunks = current, .stays_open = current && parser.keep_alive()};
  return request;
}

bool Connection::respond(HttpResponse response) {
  http::response_header<> header;
  header.version(11);
  header.result(static_cast<unsigned>(response.status));
  header.set(http::field::date, http_date(std::time(nullptr)));
  for (const auto& [name, value] : response.headers) header.insert(name, value);
  const bool bodiless = response.status == 204 || response.status == 304;
  const std::optional<int64_t> length =
      response.writer ? response.length : std::optional(static_cast<int64_t>(response.body.size()));
  const bool chunks = !length && pending_.chunks, stays_open = pending_.stays_open && (length || chunks);
  if (length && !bodiless) header.set(http::field::content_length, std::to_string(*length));
  if (chunks) header.set(http::field::transfer_encoding, "chunked");
  if (!stays_open) header.set(http::field::connection, "close");

  SocketStream stream(socket_, times_.write, bytes_sent_);
  error_code fault;
  if (!response.writer && !pending_.head_only) {
    http::response<http::string_body> message(std::move(header), std::move(response.body));
    http::write(stream, message, fault);
    return !fault && stays_open;
  }
  http::response<http::empty_body> message(std::move(header));
  http::response_serializer<http::empty_body> serializer(message);
  http::write_header(stream, serializer, fault);
  if (fault || pending_.head_only) return !fault && stays_open;
  SocketBody body(stream, chunks);
  return response.writer(body) && body.finish(length) && stays_open;
}

void Connection::reject(const HttpError& error) {
  HttpResponse response = error_response(error);
  response.set_header("X-Content-Type-Options", "nosniff");
  respond(std::move(response));  // pending_ says that the connection ends with it
  ::shutdown(socket_.get(), SHUT_WR);
  SocketStream stream(socket_, times_.write, bytes_sent_, Clock::now() + kDrainTime);
  std::array<char, kReadBytes> ignored;
  error_code fault;
  for (size_t drained = 0; drained < kDrainedBytes && !fault;) {
    drained += stream.read_some(net::buffer(ignored), fault);
  }
}

void Connection::shut_down() { ::shutdown(socket_.get(), SHUT_RDWR); }

}  // namespace flashblock
