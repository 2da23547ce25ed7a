#include "server/request_guard.h"

#include <arpa/inet.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "core/error.h"
#include "core/sha256.h"
#include "server/api_error.h"
#include "server/server_pages.h"

namespace flashblock {
namespace {

/// What a page of an admitted origin may send and read beyond what every page may. Source: the Fetch standard, 3.3.
constexpr const char* kRequestHeaders = "Authorization, Content-Type, Range, If-Range, If-None-Match, Last-Event-ID";
constexpr const char* kExposedHeaders =
    "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag, Last-Modified, Retry-After";

/// The host of HOST or HOST:PORT, in lower case, an IPv6 address without its brackets.
std::string host_name(const std::string& host) {
  const std::string name = host.substr(0, host.starts_with('[') ? host.find(']') : host.find(':'));
  return lower_case(name.starts_with('[') ? name.substr(1) : name);
}

bool is_address(const std::string& name) {
  std::array<std::byte, sizeof(in6_addr)> address;
  return ::inet_pton(AF_INET, name.c_str(), address.data()) == 1 ||
         ::inet_pton(AF_INET6, name.c_str(), address.data()) == 1;
}

/// Whether a browser sends this on behalf of another origin's page.
bool is_foreign(const HttpRequest& request) {
  const std::string host = request.header("Host"), site = request.header("Sec-Fetch-Site");
  if (request.has_header("Origin")) {
    const std::string origin = request.header("Origin");
    if (!equal_ignoring_case(origin, "http://" + host) && !equal_ignoring_case(origin, "https://" + host)) return true;
  }
  if (site.empty() || site == "same-origin" || site == "none") return false;
  const bool follows_link = request.method == "GET" && request.header("Sec-Fetch-Mode") == "navigate";
  return !follows_link;
}

bool has_cookie(const HttpRequest& request, const std::string& wanted) {
  bool found = false;
  const std::string cookies = request.header("Cookie");
  for (size_t begin = 0; begin < cookies.size();) {
    const size_t end = std::min(cookies.find(';', begin), cookies.size());
    const size_t text = std::min(cookies.find_first_not_of(' ', begin), end);
    found |= same_secret(cookies.substr(text, end - text), wanted);
    begin = end + 1;
  }
  return found;
}

/// The token that the form of login.html sends; none: the body is another one.
std::optional<std::string> token_of_form(const HttpRequest& request) {
  if (!has_media_type(request.header("Content-Type"), "application/x-www-form-urlencoded")) return {};
  HttpRequest form;
  set_target(form, "/?" + request.body);
  return form.query_parameter("token");
}

/// ` 'sha256-...'` for each element `name` of the page.
std::string hashes(std::string_view page, const std::string& name) {
  std::string list;
  for (size_t at = 0; (at = page.find("<" + name + ">", at)) != page.npos;) {
    at += name.size() + 2;
    const std::string_view text = page.substr(at, page.find("</" + name + ">", at) - at);
    list += " 'sha256-" + sha256_base64(text) + "'";
  }
  return list.empty() ? " 'none'" : list;
}

}  // namespace

bool same_secret(const std::string& a, const std::string& b) {
  const std::string x = sha256(a), y = sha256(b);  // hashes have one length, and those of similar secrets are unrelated
  unsigned difference = 0;
  for (size_t i = 0; i < x.size(); ++i) difference |= static_cast<unsigned char>(x[i] ^ y[i]);
  return difference == 0;
}

std::string draw_token() {
  std::array<unsigned char, 20> bytes;
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    throw DeviceError("cannot get random numbers from the system");
  }
  std::string text;
  for (const unsigned char byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

std::string page_policy(std::string_view page) {
  return "default-src 'none'; script-src" + hashes(page, "script") + "; style-src" + hashes(page, "style") +
         "; img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; form-action 'self'; "
         "base-uri 'none'; frame-ancestors 'none'";
}

RequestGuard::RequestGuard(GuardOptions options)
    : options_(std::move(options)),
      signer_(options_.token),
      cookie_("flashblock_" + std::to_string(options_.port) + "=" + sha256("flashblock cookie " + options_.token)) {}

bool RequestGuard::answer_instead(const HttpRequest& request, HttpResponse& response) const {
  const std::string host = request.header("Host");
  if (!knows_host(host)) {
    response = error_response({403, "unknown_host", "this server does not answer to the name " + host_name(host)});
    return true;
  }
  const bool admitted = admits_origin(request);
  if (admitted && request.method == "OPTIONS" && request.has_header("Access-Control-Request-Method")) {
    response.status = 204;
    response.set_header("Access-Control-Allow-Methods", "GET, HEAD, POST, DELETE");
    response.set_header("Access-Control-Allow-Headers", kRequestHeaders);
    response.set_header("Access-Control-Max-Age", "600");
    if (request.has_header("Access-Control-Request-Private-Network")) {
      response.set_header("Access-Control-Allow-Private-Network", "true");
    }
    return true;
  }
  const bool is_signed = signer_.admits(request);
  if (!admitted && !is_signed && is_foreign(request)) {
    response = error_response(
        {403, "foreign_origin", "pages of other origins may not use this server; who runs it can admit an origin"});
    return true;
  }
  if (options_.token.empty() || request.path == "/healthz" || is_signed || has_token(request)) return false;
  ask_for_token(request, response);
  return true;
}

bool RequestGuard::knows_host(const std::string& host) const {
  const std::string name = host_name(host);
  return name == "localhost" || is_address(name) ||
         std::find(options_.hosts.begin(), options_.hosts.end(), name) != options_.hosts.end();
}

bool RequestGuard::admits_origin(const HttpRequest& request) const {
  const std::string origin = lower_case(request.header("Origin"));
  return std::find(options_.origins.begin(), options_.origins.end(), origin) != options_.origins.end();
}

bool RequestGuard::has_token(const HttpRequest& request) const {
  const std::string authorization = request.header("Authorization");
  const size_t space = authorization.find(' ');
  if (equal_ignoring_case(authorization.substr(0, space), "Bearer")) {
    return space != authorization.npos && same_secret(std::string(trim(authorization.substr(space))), options_.token);
  }
  return has_cookie(request, cookie_);
}

void RequestGuard::ask_for_token(const HttpRequest& request, HttpResponse& response) const {
  const bool page = request.method == "GET" && request.path == "/",
             form = request.method == "POST" && request.path == "/";
  if (const auto token = page   ? request.query_parameter("token")
                         : form ? token_of_form(request)
                                : std::nullopt;
      token && same_secret(*token, options_.token)) {
    const bool secure = equal_ignoring_case(request.header("X-Forwarded-Proto"), "https");
    // Without Path it is for the folder of this address, which is the server's own behind a proxy, too.
    response.set_header("Set-Cookie", cookie_ + "; HttpOnly; SameSite=Strict" + (secure ? "; Secure" : ""));
    response.status = 303;
    response.set_header("Location", "./");
    return;
  }
  response = error_response({401, "token_required", "this server requires its token: Authorization: Bearer TOKEN"});
  response.set_header("WWW-Authenticate", "Bearer");
  if (!page && !form) return;
  response.set_content(std::string(login_page()), "text/html; charset=utf-8");
  response.set_header("Content-Security-Policy", page_policy(login_page()));
  response.set_header("Referrer-Policy", "same-origin");  // with none, the form would be sent from the origin null
}

void RequestGuard::add_headers(const HttpRequest& request, HttpResponse& response) const {
  const auto add = [&](const char* name, const std::string& value) {
    if (!response.has_header(name)) response.set_header(name, value);
  };
  if (!options_.origins.empty()) add("Vary", "Origin");
  if (admits_origin(request)) {
    add("Access-Control-Allow-Origin", request.header("Origin"));
    add("Access-Control-Expose-Headers", kExposedHeaders);
  }
  const bool embeddable = admits_origin(request) || signer_.admits(request);
  add("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
  add("X-Content-Type-Options", "nosniff");
  add("X-Frame-Options", "DENY");
  add("Referrer-Policy", "no-referrer");
  add("Cross-Origin-Resource-Policy", embeddable ? "cross-origin" : "same-origin");
  add("Cache-Control", "no-store");
}

}  // namespace flashblock
