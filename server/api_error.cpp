#include "server/api_error.h"

#include <httplib.h>

#include <nlohmann/json.hpp>

namespace flashblock {

std::string error_body(const Refusal& refusal) {
  const nlohmann::ordered_json body = {
      {"error",
       {{"message", refusal.message},
        {"type", refusal.status < 500 ? "invalid_request_error" : "server_error"},
        {"param", refusal.param.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(refusal.param)},
        {"code", refusal.code}}}};
  return body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

const char* reason_phrase(int status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 408:
      return "Request Timeout";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Error";
  }
}

void answer(const Refusal& refusal, httplib::Response& response) {
  response.status = refusal.status;
  response.set_content(error_body(refusal), "application/json");
}

}  // namespace flashblock
