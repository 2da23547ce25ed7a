#include "server/access.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <sstream>

#include "core/error.h"
#include "core/parse_number.h"
#include "core/plain_text.h"
#include "server/http_message.h"
#include "server/request_guard.h"

namespace flashblock {
namespace {

constexpr size_t kShortestToken = 16;
const Remedy kRandomToken{.action = "require a random token", .key = "token", .value = "auto"};

bool is_loopback(const std::string& address) {
  in_addr v4{};
  in6_addr v6{};
  if (address == "localhost") return true;
  if (::inet_pton(AF_INET, address.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
  return ::inet_pton(AF_INET6, address.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

std::optional<int> parse_port(const std::string& text) {
  const auto port = parse_number<int>(text);
  if (!port || *port < 0 || *port > 65535) return {};
  return port;
}

}  // namespace

ServerAddress parse_server_address(const std::string& option, const std::string& text) {
  ServerAddress result;
  if (text.empty()) return result;
  if (const auto port = parse_port(text)) {
    result.port = *port;
    return result;
  }
  const bool brackets = text.starts_with('[');
  const size_t colon = brackets ? text.find(':', text.find(']')) : text.rfind(':');
  result.address = text.substr(0, colon);
  if (brackets && result.address.ends_with(']')) result.address = result.address.substr(1, result.address.size() - 2);
  const auto port = colon == text.npos ? result.port : parse_port(text.substr(colon + 1));
  if (!port || result.address.empty()) {
    throw ConfigError(option + ": found '" + text + "', wanted ADDRESS:PORT such as 127.0.0.1:8080");
  }
  result.port = *port;
  return result;
}

std::string parse_origin(const std::string& text) {
  std::string origin = lower_case(text);
  const size_t colon = origin.find("://");
  const std::string scheme = origin.substr(0, std::min(colon, origin.size()));
  const std::string authority = colon == origin.npos ? "" : origin.substr(colon + 3);
  const size_t port = authority.find(':', authority.starts_with('[') ? authority.find(']') : 0);
  const std::string host = authority.substr(0, port);
  const bool known = scheme == "http" || scheme == "https";
  const bool named = !host.empty() && host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-._[]:") == host.npos;
  if (!known || !named || (port != authority.npos && !parse_port(authority.substr(port + 1)))) {
    throw ConfigError("found the origin '" + text + "', wanted scheme, host and port alone, such as " +
                      "https://studio.example or http://localhost:3000");
  }
  const std::string usual = scheme == "http" ? ":80" : ":443";  // which browsers leave out
  if (port != authority.npos && authority.substr(port) == usual) origin.resize(origin.size() - usual.size());
  return origin;
}

std::string resolve_token(const std::string& token, const std::string& token_file) {
  std::string result = token;
  if (token == "auto") return draw_token();
  if (!token_file.empty()) {
    std::istringstream text(read_text_file(token_file, "a token"));
    if (!(text >> result)) throw ConfigError("cannot read a token from the file " + token_file);
  }
  if (const char* variable = std::getenv("FLASHBLOCK_TOKEN"); variable && result.empty()) result = variable;
  if (!result.empty() && result.size() < kShortestToken) {
    throw ConfigError(
        "the token is too easy to guess; wanted at least " + std::to_string(kShortestToken) + " characters",
        {.remedies = {kRandomToken}});
  }
  return result;
}

void check_access(const std::string& address, const AccessOptions& access) {
  if (is_loopback(address) || !access.token.empty() || access.without_token) return;
  throw ConfigError("the address " + address + " can be reached from other machines",
                    {.remedies = {kRandomToken, {.action = "admit everyone", .key = "no_token"}}});
}

}  // namespace flashblock
