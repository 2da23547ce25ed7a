#include "language/unicode_classes.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "core/check.h"

namespace flashblock {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

// Bytes of the character that begins with `byte`; 0: none does.
size_t length_of(unsigned char byte) {
  if (byte < 0x80) return 1;
  if (byte >= 0xC2 && byte < 0xE0) return 2;
  if (byte >= 0xE0 && byte < 0xF0) return 3;
  return byte >= 0xF0 && byte < 0xF5 ? 4 : 0;
}

// Length of what one U+FFFD replaces where no character begins: the longest beginning of a character, at least a byte.
// Source: The Unicode Standard, section 3.9, "U+FFFD Substitution of Maximal Subparts".
size_t broken_length(std::string_view bytes) {
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(bytes[at]); };
  const size_t wanted = length_of(byte(0));
  if (wanted < 2 || bytes.size() < 2) return 1;
  const unsigned char least = byte(0) == 0xE0 ? 0xA0 : byte(0) == 0xF0 ? 0x90 : 0x80;
  const unsigned char most = byte(0) == 0xED ? 0x9F : byte(0) == 0xF4 ? 0x8F : 0xBF;
  if (byte(1) < least || byte(1) > most) return 1;
  size_t length = 2;
  while (length < wanted && length < bytes.size() && (byte(length) & 0xC0) == 0x80) ++length;
  return length;
}

utf8proc_category_t category(char32_t character) { return utf8proc_category(static_cast<utf8proc_int32_t>(character)); }

}  // namespace

std::u32string characters_of(std::string_view utf8) {
  std::u32string characters;
  characters.reserve(utf8.size());
  for (size_t at = 0; at < utf8.size();) {
    utf8proc_int32_t character = 0;
    const auto* const bytes = reinterpret_cast<const utf8proc_uint8_t*>(utf8.data() + at);
    const utf8proc_ssize_t read = utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(utf8.size() - at), &character);
    characters += read > 0 ? static_cast<char32_t>(character) : kReplacement;
    at += read > 0 ? static_cast<size_t>(read) : broken_length(utf8.substr(at));
  }
  return characters;
}

void append_utf8(std::string& text, char32_t character) {
  utf8proc_uint8_t bytes[4];
  const utf8proc_ssize_t length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(character), bytes);
  text.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length));
}

std::string normalized(std::string_view utf8) {
  if (std::all_of(utf8.begin(), utf8.end(), [](char byte) { return static_cast<unsigned char>(byte) < 0x80; }))
    return std::string(utf8);
  std::string valid;
  for (const char32_t character : characters_of(utf8)) append_utf8(valid, character);
  utf8proc_uint8_t* composed = nullptr;
  const utf8proc_ssize_t length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(valid.data()), static_cast<utf8proc_ssize_t>(valid.size()),
                   &composed, static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(composed, std::free);
  FB_CHECK(length >= 0, utf8proc_errmsg(length));
  return {reinterpret_cast<const char*>(composed), static_cast<size_t>(length)};
}

bool is_letter(char32_t character) {
  const utf8proc_category_t found = category(character);
  return found >= UTF8PROC_CATEGORY_LU && found <= UTF8PROC_CATEGORY_LO;
}

bool is_number(char32_t character) {
  const utf8proc_category_t found = category(character);
  return found >= UTF8PROC_CATEGORY_ND && found <= UTF8PROC_CATEGORY_NO;
}

// Source: Unicode 15, PropList.txt.
bool is_space(char32_t character) {
  return (character >= 0x09 && character <= 0x0D) || character == 0x20 || character == 0x85 || character == 0xA0 ||
         character == 0x1680 || (character >= 0x2000 && character <= 0x200A) || character == 0x2028 ||
         character == 0x2029 || character == 0x202F || character == 0x205F || character == 0x3000;
}

size_t complete_characters(std::string_view bytes) {
  // The first byte of the last character is among the last four.
  for (size_t back = 1; back <= std::min<size_t>(4, bytes.size()); ++back) {
    const auto byte = static_cast<unsigned char>(bytes[bytes.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    return length_of(byte) > back ? bytes.size() - back : bytes.size();
  }
  return bytes.size();
}

}  // namespace flashblock
