// SHA-256, as sha256sum prints it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

struct evp_md_ctx_st;  // of OpenSSL

namespace flashblock {

/// The secure hash of a stream of bytes. Source: FIPS 180-4, section 6.2, computed by OpenSSL's libcrypto.
class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }
  /// The digest in hexadecimal. Call once, last.
  std::string finish();

 private:
  std::unique_ptr<evp_md_ctx_st, void (*)(evp_md_ctx_st*)> context_;
};

/// The digest of a text in hexadecimal.
std::string sha256(std::string_view text);

/// The message authentication code of a text, in hexadecimal. Source: RFC 2104, with SHA-256.
std::string hmac_sha256(std::string_view key, std::string_view text);

/// The digest of a text in base64, as in a Content-Security-Policy.
std::string sha256_base64(std::string_view text);

/// The digest of a file in hexadecimal; empty if `stop` was requested. Throws: MediaError if it cannot be read.
std::string file_sha256(const std::filesystem::path& file, const std::stop_token& stop = {});

}  // namespace flashblock
