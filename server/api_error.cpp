#include "server/api_error.h"

#include <nlohmann/json.hpp>

namespace flashblock {

std::string error_body(const HttpError& error) {
  using Json = nlohmann::ordered_json;
  const Json body = {{"error",
                      {{"message", error.message},
                       {"type", error.status < 500 ? "invalid_request_error" : "server_error"},
                       {"param", error.param.empty() ? Json() : Json(error.param)},
                       {"code", error.code}}}};
  return body.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

HttpResponse error_response(const HttpError& error) {
  HttpResponse response{.status = error.status};
  response.set_content(error_body(error), "application/json");
  return response;
}

}  // namespace flashblock
