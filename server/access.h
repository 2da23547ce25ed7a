// Where a server listens and who may use it, as the command line says.
#pragma once

#include <string>
#include <vector>

namespace flashblock {

/// Where a server listens.
struct ServerAddress {
  std::string address = "127.0.0.1";
  int port = 8080;
};

/// ADDRESS:PORT, or one of the two. IPv6 addresses stand in brackets. Throws: ConfigError; `option` is what it was
/// given with.
ServerAddress parse_server_address(const std::string& option, const std::string& text);

/// Who may use a server.
struct AccessOptions {
  std::string token;               ///< empty: none is asked for
  bool without_token = false;      ///< the user wants an address that others reach, and no token
  std::vector<std::string> hosts;  ///< names of the server, for a reverse proxy
};

/// The token that the options give: a text of at least 16 characters, `auto` for one that is drawn, a file, or that of
/// the environment variable FLASHBLOCK_TOKEN; empty: none. Throws: ConfigError.
std::string resolve_token(const std::string& token, const std::string& token_file);

/// Throws: ConfigError if others reach the address and nothing keeps them out.
void check_access(const std::string& address, const AccessOptions& access);

/// Where to listen, and whom to let in.
struct ServerSettings {
  ServerAddress address;
  AccessOptions access;
};

}  // namespace flashblock
