// How the server says no: a status and a JSON body in the form of OpenAI's errors.
#pragma once

#include <string>

#include "server/request_head.h"

namespace httplib {
struct Response;
}

namespace flashblock {

/// Thrown by a request's handler: the request is answered with this.
class ApiError : public std::exception {
 public:
  explicit ApiError(Refusal refusal) : refusal_(std::move(refusal)) {}
  const Refusal& refusal() const { return refusal_; }
  const char* what() const noexcept override { return refusal_.message.c_str(); }

 private:
  Refusal refusal_;
};

/// {"error": {"message": ..., "type": ..., "param": null or the name of a key, "code": ...}}
std::string error_body(const Refusal& refusal);

/// `Not Found` for 404.
const char* reason_phrase(int status);

void answer(const Refusal& refusal, httplib::Response& response);

}  // namespace flashblock
