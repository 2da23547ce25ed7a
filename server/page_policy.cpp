#include "server/page_policy.h"

#include <cstdint>

#include "core/sha256.h"

namespace flashblock {
namespace {

int hex_digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

/// Converts hexadecimal to base64. Source: RFC 4648, section 4.
std::string base64_of_hex(std::string_view hex) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : hex) {
    bits = bits << 4 | static_cast<uint32_t>(hex_digit(c));
    count += 4;
    if (count < 6) continue;
    count -= 6;
    text += kDigits[bits >> count & 63];
  }
  if (count > 0) text += kDigits[bits << (6 - count) & 63];
  while (text.size() % 4 != 0) text += '=';
  return text;
}

/// ` 'sha256-...'` for each element `name` of the page.
std::string hashes(std::string_view page, const std::string& name) {
  std::string list;
  for (size_t at = 0; (at = page.find("<" + name + ">", at)) != page.npos;) {
    at += name.size() + 2;
    const std::string_view text = page.substr(at, page.find("</" + name + ">", at) - at);
    list += " 'sha256-" + base64_of_hex(sha256(text)) + "'";
  }
  return list.empty() ? " 'none'" : list;
}

}  // namespace

std::string page_policy(std::string_view page) {
  return "default-src 'none'; script-src" + hashes(page, "script") + "; style-src" + hashes(page, "style") +
         "; img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; form-action 'self'; "
         "base-uri 'none'; frame-ancestors 'none'";
}

}  // namespace flashblock
