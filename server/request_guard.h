// Who may ask this server for what, and what every answer says to browsers.
#pragma once

#include <string>
#include <vector>

namespace httplib {
struct Request;
struct Response;
}  // namespace httplib

namespace flashblock {

struct GuardOptions {
  std::string token;               ///< what a client must show; empty: nothing
  std::vector<std::string> hosts;  ///< names that this server is called by, beside localhost and IP addresses
  int port = 0;                    ///< of the server: its cookie's name, so that servers on one host have their own
};

/// Checks every request before it is routed.
///
/// * Host must be localhost, an IP address or a name of this server. A page of an attacker that points its own name at
///   this machine (DNS rebinding) comes with that name.
/// * What a browser sends for a page of another origin is refused: by Origin, by Sec-Fetch-Site. Following a link to
///   the page is not.
/// * With a token: `Authorization: Bearer TOKEN`, or the cookie that GET /?token=TOKEN sets. Compared in a time that
///   does not depend on where they differ. /healthz needs none.
class RequestGuard {
 public:
  explicit RequestGuard(GuardOptions options);

  /// True if it has answered the request: with a refusal, or with the way to give the token.
  bool answer_instead(const httplib::Request& request, httplib::Response& response) const;

  /// Headers that every answer gets: nothing here is to be framed, embedded by others, guessed at or cached. Keeps a
  /// Content-Security-Policy and a Cache-Control that are there.
  static void add_headers(const httplib::Request& request, httplib::Response& response);

 private:
  bool knows_host(const std::string& host) const;
  bool has_token(const httplib::Request& request) const;
  void ask_for_token(const httplib::Request& request, httplib::Response& response) const;

  GuardOptions options_;
  std::string cookie_;  ///< NAME=VALUE
};

/// Whether two secrets are the same, in a time that depends on nothing but their lengths.
bool same_secret(const std::string& a, const std::string& b);

/// A token that nobody can guess: 160 bits from the system, in hexadecimal.
std::string draw_token();

}  // namespace flashblock
