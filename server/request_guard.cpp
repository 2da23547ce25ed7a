#include "server/request_guard.h"

#include <arpa/inet.h>
#include <httplib.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "core/error.h"
#include "core/sha256.h"
#include "server/api_error.h"
#include "server/embedded_files.h"

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

/// Whether a browser sends this for a page that is not ours.
bool is_foreign(const httplib::Request& request) {
  const std::string host = request.get_header_value("Host"), site = request.get_header_value("Sec-Fetch-Site");
  if (request.has_header("Origin")) {
    const std::string origin = request.get_header_value("Origin");
    if (origin != "http://" + host && origin != "https://" + host) return true;
  }
  if (site.empty() || site == "same-origin" || site == "none") return false;
  const bool follows_link = request.method == "GET" && request.get_header_value("Sec-Fetch-Mode") == "navigate";
  return !follows_link;
}

bool has_cookie(const httplib::Request& request, const std::string& wanted) {
  bool found = false;
  const std::string cookies = request.get_header_value("Cookie");
  for (size_t begin = 0; begin < cookies.size();) {
    const size_t end = std::min(cookies.find(';', begin), cookies.size());
    const size_t text = std::min(cookies.find_first_not_of(' ', begin), end);
    found |= same_secret(cookies.substr(text, end - text), wanted);
    begin = end + 1;
  }
  return found;
}

}  // namespace

bool same_secret(const std::string& a, const std::string& b) {
  const std::string x = sha256(a), y = sha256(b);  // of one length, and unrelated where a and b are close
  unsigned difference = 0;
  for (size_t i = 0; i < x.size(); ++i) difference |= static_cast<unsigned char>(x[i] ^ y[i]);
  return difference == 0;
}

std::string draw_token() {
  std::array<unsigned char, 20> bytes;
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    throw DeviceError("the system gave no random numbers");
  }
  std::string text;
  for (const unsigned char byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

RequestGuard::RequestGuard(GuardOptions options)
    : options_(std::move(options)),
      cookie_("flashblock_" + std::to_string(options_.port) + "=" + sha256("flashblock cookie " + options_.token)) {}

bool RequestGuard::answer_instead(const httplib::Request& request, httplib::Response& response) const {
  const std::string host = request.get_header_value("Host");
  if (!knows_host(host)) {
    answer({403, "unknown_host",
            "this server is not called " + host_name(host) + "; if it is, start it with --host " + host_name(host)},
           response);
    return true;
  }
  if (is_foreign(request)) {
    answer({403, "foreign_origin", "pages of other origins may not use this server"}, response);
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

bool RequestGuard::has_token(const httplib::Request& request) const {
  const std::string authorization = request.get_header_value("Authorization");
  constexpr std::string_view kScheme = "Bearer ";
  if (authorization.starts_with(kScheme)) return same_secret(authorization.substr(kScheme.size()), options_.token);
  return has_cookie(request, cookie_);
}

void RequestGuard::ask_for_token(const httplib::Request& request, httplib::Response& response) const {
  const bool page = request.method == "GET" && request.path == "/";
  if (page && request.has_param("token") && same_secret(request.get_param_value("token"), options_.token)) {
    const bool secure = request.get_header_value("X-Forwarded-Proto") == "https";
    response.set_header("Set-Cookie", cookie_ + "; Path=/; HttpOnly; SameSite=Strict" + (secure ? "; Secure" : ""));
    response.set_redirect("/", 303);
    return;
  }
  answer({401, "token_required", "this server wants its token: Authorization: Bearer TOKEN"}, response);
  response.set_header("WWW-Authenticate", "Bearer");
  if (!page) return;
  response.set_content(std::string(login_page()), "text/html; charset=utf-8");
  response.set_header("Content-Security-Policy", page_policy(login_page()));
}

void RequestGuard::add_headers(const httplib::Request&, httplib::Response& response) {
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
