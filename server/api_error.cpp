#include "server/api_error.h"

#include <nlohmann/json.hpp>

#include "core/html_page.h"

namespace flashblock {

std::string error_body(const HttpError& error) {
  using Json = nlohmann::ordered_json;
  const Json body = {{"error",
                      {{"message", error.message},
                       {"type", error.status < 500 ? "invalid_request_error" : "server_error"},
                       {"param", error.param.empty() ? Json() : Json(error.param)},
                       {"code", error.code}}}};
  return json_text(body, -1);
}

HttpResponse error_response(const HttpError& error) {
  HttpResponse response{.status = error.status};
  response.set_content(error_body(error), "application/json");
  if (error.status == 429 || error.status == 503) response.set_header("Retry-After", "5");
  return response;
}

void refuse_value(const std::string& param, const std::string& wanted) {
  throw ApiError({400, "invalid_value", param + ": wanted " + wanted, param});
}

std::string client_text(const std::string& message, std::string_view otherwise) {
  const bool names_path = message.find_first_of("/\\") != message.npos;
  const bool names_option = message.find("--") != message.npos;
  return std::string(names_path || names_option ? otherwise : message);
}

}  // namespace flashblock
