// Addresses of a video that need no token: for players, which know only an address.
#pragma once

#include <ctime>
#include <string>

#include "server/http_message.h"

namespace flashblock {

/// Signs the addresses under which a video is watched, and recognizes them. A signature is for one video and a limited
/// time, and allows nothing but to watch it. It depends on the server's token: another token makes it worthless.
class AddressSigner {
 public:
  /// `token`: the server's; empty: addresses need no signature.
  explicit AddressSigner(const std::string& token);

  /// `?expires=...&signature=...` for the addresses of a video; it is the same for about an hour. Empty without a
  /// token.
  std::string query(const std::string& video, std::time_t now = std::time(nullptr)) const;

  /// Whether this reads stream, playlist, segments or content of a video at an address that is signed and has not
  /// expired.
  bool admits(const HttpRequest& request, std::time_t now = std::time(nullptr)) const;

  /// The signature that a request has, as query() writes it, for the addresses in its response; empty: none.
  static std::string query_of(const HttpRequest& request);

 private:
  std::string signature(const std::string& video, const std::string& expires) const;

  std::string key_;  ///< empty: nothing is signed
};

}  // namespace flashblock
