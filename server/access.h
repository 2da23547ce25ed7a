// The address of a server and who may use it.
#pragma once

#include <string>
#include <vector>

namespace flashblock {

/// Where a server listens.
struct ServerAddress {
  std::string address = "127.0.0.1";
  int port = 8080;
};

/// Parses ADDRESS:PORT, or only one of the two; an IPv6 address is in brackets. Throws: ConfigError, which names
/// `option`.
ServerAddress parse_server_address(const std::string& option, const std::string& text);

/// Who may use a server.
struct AccessOptions {
  std::string token;                 ///< what clients must send; empty: nothing
  bool without_token = false;        ///< a public address may be used without a token
  bool drawn_token = false;          ///< the token was drawn: nobody knows it who is not told
  std::vector<std::string> hosts;    ///< more host names of the server, such as that of a reverse proxy
  std::vector<std::string> origins;  ///< whose pages may use the server besides its own, as parse_origin writes them
};

/// An origin as browsers send it: https://studio.example, http://localhost:3000. Throws: ConfigError for a text that is
/// not exactly one.
std::string parse_origin(const std::string& text);

/// The token that the options specify: `token` itself (at least 16 characters; `auto`: a random one), else the content
/// of `token_file`, else the environment variable FLASHBLOCK_TOKEN; empty: none. Throws: ConfigError.
std::string resolve_token(const std::string& token, const std::string& token_file);

/// Throws: ConfigError if other machines can reach the address and no token is required.
void check_access(const std::string& address, const AccessOptions& access);

/// Where to listen, and who may connect.
struct ServerSettings {
  ServerAddress address;
  AccessOptions access;
};

}  // namespace flashblock
