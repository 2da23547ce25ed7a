// Error responses: a status and a JSON body in the format of OpenAI's errors.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include "server/http_message.h"

namespace flashblock {

/// Why a request fails.
struct HttpError {
  int status = 400;
  std::string code;        ///< for programs
  std::string message;     ///< for people; names no file and no command-line option
  std::string param = {};  ///< the key or parameter at fault; empty: none
};

/// Thrown by a request's handler; the request is answered with this error.
class ApiError : public std::exception {
 public:
  explicit ApiError(HttpError error) : error_(std::move(error)) {}
  const HttpError& error() const { return error_; }
  const char* what() const noexcept override { return error_.message.c_str(); }

 private:
  HttpError error_;
};

/// {"error": {"message": ..., "type": ..., "param": null or the name of a key, "code": ...}}
std::string error_body(const HttpError& error);

/// With Retry-After where another attempt may succeed soon.
HttpResponse error_response(const HttpError& error);

/// Fails the request: the value of `param` is not what was `wanted`. Throws: ApiError 400, always.
[[noreturn]] void refuse_value(const std::string& param, const std::string& wanted);

/// `message`, or `otherwise` if the message contains a file path or a command-line option: paths of the server are not
/// for its clients, and they do not control its command line. A word with a slash counts as a path.
std::string client_text(const std::string& message, std::string_view otherwise);

}  // namespace flashblock
