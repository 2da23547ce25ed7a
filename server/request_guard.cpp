#include "server/request_guard.h"

#include <arpa/inet.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "core/error.h"
#include "core/sha256.h"
#include "server/api_error.h"
#include "server/server_pages.h"

namespace flashblock {
namespace {

/// The host of HOST or HOST:PORT, in lower case, an IPv6 address without its brackets.
std::string host_name(const std::string& host) {
  std::string name = host.substr(0, host.starts_with('[') ? host.find(']') : host.find(':'));
  if (name.starts_with('[')) name.erase(0, 1);
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name;
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
    if (origin != "http://" + host && origin != "https://" + host) return true;
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
      cookie_("flashblock_" + std::to_string(options_.port) + "=" + sha256("flashblock cookie " + options_.token)) {}

bool RequestGuard::answer_instead(const HttpRequest& request, HttpResponse& response) const {
  const std::string host = request.header("Host");
  if (!knows_host(host)) {
    response = error_response({403, "unknown_host", "this server does not answer to the name " + host_name(host)});
    return true;
  }
  if (is_foreign(request)) {
    response = error_response({403, "foreign_origin", "pages of other origins may not use this server"});
    return true;
  }
  if (options_.token.empty() || request.path == "/healthz" || has_token(request)) return false;
  ask_for_token(request, response);
  return true;
}

bool RequestGuard::knows_host(const std::string& host) const {
  const std::string name = host_name(host);
  return name == "localhost" || is_address(name) ||
         std::find(options_.hosts.begin(), options_.hosts.end(), name) != options_.hosts.end();
}

bool RequestGuard::has_token(const HttpRequest& request) const {
  const std::string authorization = request.header("Authorization");
  constexpr std::string_view kScheme = "Bearer ";
  if (authorization.starts_with(kScheme)) return same_secret(authorization.substr(kScheme.size()), options_.token);
  return has_cookie(request, cookie_);
}

void RequestGuard::ask_for_token(const HttpRequest& request, HttpResponse& response) const {
  const bool page = request.method == "GET" && request.path == "/";
  if (const auto token = request.query_parameter("token"); page && token && same_secret(*token, options_.token)) {
    const bool secure = request.header("X-Forwarded-Proto") == "https";
    response.set_header("Set-Cookie", cookie_ + "; Path=/; HttpOnly; SameSite=Strict" + (secure ? "; Secure" : ""));
    response.status = 303;
    response.set_header("Location", "/");
    return;
  }
  response = error_response({401, "token_required", "this server requires its token: Authorization: Bearer TOKEN"});
  response.set_header("WWW-Authenticate", "Bearer");
  if (!page) return;
  response.set_content(std::string(login_page()), "text/html; charset=utf-8");
  response.set_header("Content-Security-Policy", page_policy(login_page()));
}

void RequestGuard::add_headers(const HttpRequest&, HttpResponse& response) {
  const auto add = [&](const char* name, const char* value) {
    if (!response.has_header(name)) response.set_header(name, value);
  };
  add("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
  add("X-Content-Type-Options", "nosniff");
  add("X-Frame-Options", "DENY");
  add("Referrer-Policy", "no-referrer");
  add("Cross-Origin-Resource-Policy", "same-origin");
  add("Cache-Control", "no-store");
}

}  // namespace flashblock
