#include "core/sha256.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <fstream>
#include <vector>

#include "core/check.h"
#include "core/error.h"
#include "core/html_page.h"

namespace flashblock {
namespace {

std::string hexadecimal(const std::array<unsigned char, 32>& bytes) {
  std::string text;
  for (const unsigned char byte : bytes) {
    for (const int shift : {4, 0}) text += "0123456789abcdef"[byte >> shift & 15];
  }
  return text;
}

}  // namespace

Sha256::Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
  FB_CHECK(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr));
}

void Sha256::update(std::span<const std::byte> bytes) {
  FB_CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()));
}

std::string Sha256::finish() {
  std::array<unsigned char, 32> bytes;
  FB_CHECK(EVP_DigestFinal_ex(context_.get(), bytes.data(), nullptr));
  return hexadecimal(bytes);
}

std::string sha256(std::string_view text) {
  Sha256 hash;
  hash.update(text);
  return hash.finish();
}

std::string hmac_sha256(std::string_view key, std::string_view text) {
  std::array<unsigned char, 32> code;
  FB_CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                reinterpret_cast<const unsigned char*>(text.data()), text.size(), code.data(), nullptr));
  return hexadecimal(code);
}

std::string sha256_base64(std::string_view text) {
  std::array<unsigned char, 32> digest;
  FB_CHECK(EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr));
  return base64({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

std::string file_sha256(const std::filesystem::path& file, const std::stop_token& stop) {
  std::ifstream stream(file, std::ios::binary);
  Sha256 hash;
  std::vector<char> buffer(1 << 20);
  while (stream.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || stream.gcount() > 0) {
    if (stop.stop_requested()) return {};
    hash.update(std::as_bytes(std::span(buffer.data(), static_cast<size_t>(stream.gcount()))));
  }
  if (!stream.eof()) throw MediaError("cannot read " + file.string() + " for its checksum");
  return hash.finish();
}

}  // namespace flashblock
