// Access control, and the security headers of every response.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/address_signer.h"
#include "server/http_message.h"

namespace flashblock {

struct GuardOptions {
  std::string token;                 ///< what a client must send; empty: nothing
  std::vector<std::string> hosts;    ///< host names of this server besides localhost and IP addresses
  std::vector<std::string> origins;  ///< whose pages may use the server besides its own, as parse_origin writes them
  int port = 0;                      ///< part of the cookie's name, so that servers on one host have different cookies
};

/// Checks every request before it is routed.
///
/// * Host must be localhost, an IP address or a name of this server. This stops DNS rebinding, where an attacker points
///   a name at this machine.
/// * Requests of pages of other origins are rejected, by Origin and Sec-Fetch-Site, unless they are named in
///   GuardOptions. Following a link to this page is allowed.
/// * With a token: `Authorization: Bearer TOKEN`, the cookie that the form and GET /?token=TOKEN set, or a signed
/// address
///   (AddressSigner). They are compared in constant time. /healthz needs no token.
class RequestGuard {
 public:
  explicit RequestGuard(GuardOptions options);

  /// True if it has answered the request: with an error, a form for the token, or the cookie.
  bool answer_instead(const HttpRequest& request, HttpResponse& response) const;

  /// Adds the security headers of every response: no framing, no embedding by other origins, no MIME sniffing, no
  /// caching; and what admits an origin (CORS). Headers that the response already has are kept.
  void add_headers(const HttpRequest& request, HttpResponse& response) const;

 private:
  bool knows_host(const std::string& host) const;
  bool admits_origin(const HttpRequest& request) const;
  bool has_token(const HttpRequest& request) const;
  void ask_for_token(const HttpRequest& request, HttpResponse& response) const;

  GuardOptions options_;
  AddressSigner signer_;
  std::string cookie_;  ///< NAME=VALUE
};

/// The Content-Security-Policy of a page: nothing from other origins, and only the scripts and styles in
/// the page itself, by their hashes.
std::string page_policy(std::string_view page);

/// Whether two secrets are equal, in a time that depends only on their lengths.
bool same_secret(const std::string& a, const std::string& b);

/// A random token: 160 bits from the system, in hexadecimal. Throws: DeviceError.
std::string draw_token();

}  // namespace flashblock
