#include "server/connection.h"

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
#include <utility>

namespace flashblock {
namespace {

namespace net = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

/// What a rejected client may still send before its connection is closed. Reading it lets the response arrive: closing
/// a socket with unread bytes resets the connection.
constexpr ssize_t kDrainedBytes = 256 * 1024;
constexpr std::chrono::milliseconds kDrainTime{500};

/// A ClientSocket as Beast's SyncReadStream and SyncWriteStream.
class SocketStream {
 public:
  SocketStream(ClientSocket& socket, ClientSocket::Clock::time_point read_deadline)
      : socket_(socket), read_deadline_(read_deadline) {}

  template <class Buffers>
  size_t read_some(const Buffers& buffers, error_code& fault) {
    const net::mutable_buffer buffer = *net::buffer_sequence_begin(buffers);
    const ssize_t count = socket_.receive(static_cast<char*>(buffer.data()), buffer.size(), read_deadline_);
    fault = {};
    if (count == 0) fault = net::error::eof;
    if (count < 0) fault = net::error::timed_out;
    return static_cast<size_t>(std::max<ssize_t>(count, 0));
  }

  template <class Buffers>
  size_t write_some(const Buffers& buffers, error_code& fault) {
    std::array<iovec, 8> parts;
    size_t count = 0;
    for (auto part = net::buffer_sequence_begin(buffers);
         part != net::buffer_sequence_end(buffers) && count < parts.size(); ++part) {
      const net::const_buffer buffer = *part;
      if (buffer.size() > 0) parts[count++] = {const_cast<void*>(buffer.data()), buffer.size()};
    }
    fault = {};
    if (count == 0) return 0;
    const size_t sent = socket_.send_some({parts.data(), count});
    if (sent == 0) fault = net::error::connection_reset;
    return sent;
  }

  // The concepts ask for overloads that throw, too; they are never called.
  template <class Buffers>
  size_t read_some(const Buffers& buffers);
  template <class Buffers>
  size_t write_some(const Buffers& buffers);

 private:
  ClientSocket& socket_;
  ClientSocket::Clock::time_point read_deadline_;
};

/// A body that a handler writes: with a Content-Length, in chunks, or up to the end of the connection.
class SocketBody : public BodySink {
 public:
  SocketBody(ClientSocket& socket, bool chunks) : socket_(socket), stream_(socket, {}), chunks_(chunks) {}

  bool write(std::string_view bytes) override {
    if (bytes.empty() || !good_) return good_;
    if (chunks_) {
      error_code fault;
      net::write(stream_, http::make_chunk(net::buffer(bytes.data(), bytes.size())), fault);
      good_ = !fault;
    } else {
      good_ = socket_.send(bytes);
    }
    written_ += static_cast<int64_t>(bytes.size());
    return good_;
  }
  bool is_open() const override { return good_ && socket_.is_open(); }

  /// Whether the body is complete: as long as promised, or ended with the last chunk.
  bool finish(std::optional<int64_t> length) {
    if (!good_ || !chunks_) return good_ && length == written_;
    error_code fault;
    net::write(stream_, http::make_chunk_last(), fault);
    return !fault;
  }

 private:
  ClientSocket& socket_;
  SocketStream stream_;
  const bool chunks_;
  bool good_ = true;
  int64_t written_ = 0;
};

std::string to_string(boost::beast::string_view text) { return {text.data(), text.size()}; }

HttpRequest request_of(const http::request<http::string_body>& message) {
  HttpRequest request{.method = to_string(message.method_string())};
  set_target(request, to_string(message.target()));
  for (const auto& field : message) {
    request.headers.emplace_back(to_string(field.name_string()), to_string(field.value()));
  }
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
  const bool ended = fault == http::error::partial_message || fault == http::error::end_of_stream;
  if (ended || fault.category() != make_error_code(http::error::bad_method).category()) {
    return {408, "too_slow", "the request did not arrive in time"};
  }
  return {400, "bad_request", "this is not an HTTP request: " + fault.message()};
}

}  // namespace

Connection::Connection(FileDescriptor socket, const RequestLimits& limits, const ConnectionTimes& times,
                       std::atomic<int64_t>& bytes_sent)
    : socket_(std::move(socket), times.write, bytes_sent), limits_(limits), times_(times) {}

std::optional<HttpRequest> Connection::receive() {
  pending_ = {};
  if (received_.empty()) {
    std::array<char, 4096> buffer;
    const ssize_t count = socket_.receive(buffer.data(), buffer.size(), Clock::now() + times_.idle);
    if (count <= 0) return {};
    received_.assign(buffer.data(), static_cast<size_t>(count));
  }
  return receive_before(Clock::now() + times_.request);
}

std::optional<HttpRequest> Connection::receive_before(Clock::time_point deadline) {
  const auto rejected = [this](const HttpError& error) {
    reject(error);
    return std::nullopt;
  };
  SocketStream stream(socket_, deadline);
  auto buffer = net::dynamic_buffer(received_);
  http::request_parser<http::string_body> parser;
  parser.header_limit(static_cast<uint32_t>(limits_.head_bytes));
  parser.body_limit(limits_.body_bytes);
  error_code fault;
  http::read_header(stream, buffer, parser, fault);
  if (fault) return rejected(error_of(fault, limits_));
  HttpRequest request = request_of(parser.get());
  if (const auto error = check_request_head(request, limits_)) return rejected(*error);
  if (request.has_header("Expect") && buffer.size() < parser.content_length().value_or(0) &&
      !socket_.send("HTTP/1.1 100 Continue\r\n\r\n")) {
    return {};
  }
  http::read(stream, buffer, parser, fault);
  if (fault) return rejected(error_of(fault, limits_));
  request.body = std::move(parser.get().body());
  const bool current = parser.get().version() == 11;
  pending_ = {.head_only = request.method == "HEAD", .chunks = current, .stays_open = current && parser.keep_alive()};
  return request;
}

bool Connection::respond(HttpResponse response) {
  http::response_header<> header;
  header.version(11);
  header.result(static_cast<unsigned>(response.status));
  for (const auto& [name, value] : response.headers) header.insert(name, value);
  const std::optional<int64_t> length =
      response.writer ? response.length : std::optional(static_cast<int64_t>(response.body.size()));
  const bool chunks = !length && pending_.chunks, stays_open = pending_.stays_open && (length || chunks);
  if (length) header.set(http::field::content_length, std::to_string(*length));
  if (chunks) header.set(http::field::transfer_encoding, "chunked");
  if (!stays_open) header.set(http::field::connection, "close");

  SocketStream stream(socket_, {});
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
  SocketBody body(socket_, chunks);
  return response.writer(body) && body.finish(length) && stays_open;
}

void Connection::reject(const HttpError& error) {
  HttpResponse response = error_response(error);
  response.set_header("X-Content-Type-Options", "nosniff");
  respond(std::move(response));  // pending_ says that the connection ends with it
  socket_.finish_sending();
  std::array<char, 4096> ignored;
  const auto deadline = Clock::now() + kDrainTime;
  for (ssize_t drained = 0, count = 1; drained < kDrainedBytes && count > 0; drained += count) {
    count = socket_.receive(ignored.data(), ignored.size(), deadline);
  }
}

}  // namespace flashblock
