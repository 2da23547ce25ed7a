#include "server/request_head.h"

#include <algorithm>
#include <array>

namespace flashblock {
namespace {

/// Headers that must not be there twice: which one counts would depend on the program that reads them.
constexpr std::array kSingleHeaders = {"Content-Length", "Transfer-Encoding", "Content-Type", "Authorization", "Origin",
                                       "Range",          "If-Range"};

HttpError bad_request(std::string message) { return {400, "bad_request", std::move(message)}; }

std::optional<HttpError> check_target(const std::string& target, const RequestLimits& limits) {
  if (target.size() > limits.target_bytes) {
    return HttpError{414, "target_too_long",
                     "the request's path and query are longer than " + std::to_string(limits.target_bytes) + " bytes"};
  }
  const bool visible = std::all_of(target.begin(), target.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (!visible || !target.starts_with('/')) return bad_request("the request's path does not begin with /");
  return {};
}

std::optional<HttpError> check_header(const std::string& name, const std::string& value) {
  const auto is = [&](const char* other) { return equal_ignoring_case(name, other); };
  if (is("Host") && value.find_first_of(" \t") != value.npos) return bad_request("the Host header holds a space");
  if (is("Transfer-Encoding") && !equal_ignoring_case(value, "chunked")) {
    return HttpError{501, "transfer_encoding", "the only supported Transfer-Encoding is chunked"};
  }
  if (is("Content-Encoding") && !equal_ignoring_case(value, "identity")) {
    return HttpError{415, "content_encoding", "send the body without Content-Encoding"};
  }
  // Beast accepts lists of equal numbers.
  if (is("Content-Length") && value.find_first_not_of("0123456789") != value.npos) {
    return bad_request("the Content-Length is not one number of bytes");
  }
  if (is("Expect") && !equal_ignoring_case(value, "100-continue")) {
    return HttpError{417, "expectation", "the only supported expectation is 100-continue"};
  }
  return {};
}

}  // namespace

std::optional<HttpError> check_request_head(const HttpRequest& request, const RequestLimits& limits) {
  if (auto error = check_target(request.target, limits)) return error;
  if (request.headers.size() > limits.headers) {
    return HttpError{431, "too_many_headers",
                     "the request has more than " + std::to_string(limits.headers) + " headers"};
  }
  const auto count = [&](const char* name) {
    return std::count_if(request.headers.begin(), request.headers.end(),
                         [&](const auto& header) { return equal_ignoring_case(header.first, name); });
  };
  for (const auto& [name, value] : request.headers) {
    if (auto error = check_header(name, value)) return error;
  }
  if (count("Host") != 1) return bad_request("wanted one Host header, found " + std::to_string(count("Host")));
  for (const char* name : kSingleHeaders) {
    if (count(name) > 1) return bad_request(std::string("wanted one ") + name + " header");
  }
  if (count("Transfer-Encoding") + count("Content-Length") > 1) {
    return bad_request("the body has both a Content-Length and a Transfer-Encoding");
  }
  return {};
}

}  // namespace flashblock
