// SHA-256, as sha256sum prints it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

namespace flashblock {

/// The secure hash of a stream of bytes. Source: FIPS 180-4, section 6.2.
class Sha256 {
 public:
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }
  /// The digest in hexadecimal. Call it once, last.
  std::string finish();

 private:
  static constexpr size_t kBlock = 64;  // bytes
  void compress(const std::byte* block);

  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::byte, kBlock> waiting_{};
  size_t waiting_bytes_ = 0;
  uint64_t total_bytes_ = 0;
};

/// The digest of a text in hexadecimal.
std::string sha256(std::string_view text);

/// The digest of a file in hexadecimal; empty if `stop` was requested. Throws: MediaError if it cannot be read.
std::string file_sha256(const std::filesystem::path& file, const std::stop_token& stop = {});

}  // namespace flashblock
