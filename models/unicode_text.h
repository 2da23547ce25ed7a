// The little Unicode that cleaning a prompt needs.
#pragma once

#include <string>
#include <string_view>

namespace flashblock {

constexpr char32_t kReplacementCharacter = 0xFFFD;

/// Code points of UTF-8 text. Bytes that are no UTF-8 become U+FFFD; surrogates written as UTF-8 are kept as they are.
std::u32string decode_utf8(std::string_view bytes);

/// UTF-8 of code points; surrogates and what is past U+10FFFF become U+FFFD.
std::string encode_utf8(std::u32string_view text);

/// White_Space of the Unicode Character Database, PropList.txt.
bool is_white_space(char32_t c);

/// Windows-1252 of a byte in 0x80..0x9F; its five undefined bytes stay control characters.
char32_t from_windows_1252(unsigned char byte);

/// The byte that Latin-1 or Windows-1252 writes `c` as; -1 if neither has it.
int to_windows_1252(char32_t c);

}  // namespace flashblock
