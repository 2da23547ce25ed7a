// HTTP requests and responses as the server's handlers see them; no HTTP library is named here.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace flashblock {

/// Names and values in the order in which they were sent.
using HttpFields = std::vector<std::pair<std::string, std::string>>;

/// A request that has arrived completely.
struct HttpRequest {
  std::string method;
  std::string target;          ///< path and query as they were sent
  std::string path;            ///< percent-decoded
  HttpFields query;            ///< percent-decoded
  HttpFields path_parameters;  ///< the parts of the path that a route's pattern has in braces, by name
  HttpFields headers;
  std::string body;

  /// The value of the first header with this name, in any case; empty if there is none.
  std::string header(std::string_view name) const;
  bool has_header(std::string_view name) const;
  /// The value of the first query parameter with this name; none if there is none.
  std::optional<std::string> query_parameter(std::string_view name) const;
  /// The value of a part in braces of the route's pattern; empty if the pattern has no such part.
  std::string path_parameter(std::string_view name) const;
};

/// Splits `target` into the percent-decoded path and query parameters of `request`.
void set_target(HttpRequest& request, std::string target);

/// Takes scheme and authority off a target in absolute form, such as http://localhost:8080/v1/videos, and returns the
/// authority; none for another target. Source: RFC 9112, section 3.2.2.
std::optional<std::string> take_authority(std::string& target);

/// Where a handler writes a response body that is not in memory.
class BodySink {
 public:
  virtual ~BodySink() = default;
  /// Blocks until the client has taken all of `bytes`. False: the client has disconnected or stopped reading.
  virtual bool write(std::string_view bytes) = 0;
  /// Whether the client is still connected.
  virtual bool is_open() const = 0;
};
/// Writes a body. Returns whether it is complete; false makes the connection end, so that the client notices.
using BodyWriter = std::function<bool(BodySink&)>;

/// The response to a request: headers, and a body that is either a string or written by a function.
struct HttpResponse {
  int status = 200;
  HttpFields headers;
  std::string body;
  BodyWriter writer;              ///< null: the body is `body`
  std::optional<int64_t> length;  ///< bytes that `writer` writes; none: not known in advance

  /// Replaces a header of the same name.
  void set_header(std::string_view name, std::string value);
  bool has_header(std::string_view name) const;
  void set_content(std::string content, std::string content_type);
  void set_stream(std::string content_type, BodyWriter body_writer, std::optional<int64_t> bytes = {});
};

/// ASCII only.
bool equal_ignoring_case(std::string_view a, std::string_view b);
std::string lower_case(std::string_view text);

/// Without spaces and tabs at both ends.
std::string_view trim(std::string_view text);

/// Whether a Content-Type is this media type, whatever its parameters.
bool has_media_type(std::string_view content_type, std::string_view type);

}  // namespace flashblock
