// Unicode as a tokenizer needs it: characters, their general categories, normalization form C.
#pragma once

#include <string>
#include <string_view>

namespace flashblock {

/// The characters of UTF-8 text; what is none becomes U+FFFD, an unfinished character one of them.
std::u32string characters_of(std::string_view utf8);

/// Appends a character as UTF-8.
void append_utf8(std::string& text, char32_t character);

/// `utf8` in normalization form C, what is no UTF-8 replaced as by characters_of.
std::string normalized(std::string_view utf8);

bool is_letter(char32_t character);  ///< general category L; combining marks are none
bool is_number(char32_t character);  ///< general category N
bool is_space(char32_t character);   ///< property White_Space

/// Length of the longest beginning of `bytes` that does not end within a character which the next bytes may complete.
size_t complete_characters(std::string_view bytes);

}  // namespace flashblock
