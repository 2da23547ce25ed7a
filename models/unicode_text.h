// The part of Unicode that prompt cleaning needs.
#pragma once

#include <string>
#include <string_view>

namespace flashblock {

constexpr char32_t kReplacementCharacter = 0xFFFD;

/// Code points of UTF-8 text. Invalid bytes become U+FFFD; surrogates encoded as UTF-8 are kept.
std::u32string decode_utf8(std::string_view bytes);

/// UTF-8 of code points; surrogates and values above U+10FFFF become U+FFFD.
std::string encode_utf8(std::u32string_view text);

/// White_Space of the Unicode Character Database, PropList.txt.
bool is_white_space(char32_t c);

/// Windows-1252 of a byte in 0x80..0x9F; its five undefined bytes map to control characters.
char32_t from_windows_1252(unsigned char byte);

/// The byte for `c` in Latin-1 or Windows-1252; -1 if neither has it.
int to_windows_1252(char32_t c);

}  // namespace flashblock
