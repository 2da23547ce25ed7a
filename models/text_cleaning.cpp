#include "models/text_cleaning.h"

#include <algorithm>
#include <optional>

#include "models/html_entities.h"
#include "models/unicode_text.h"

namespace flashblock {
namespace {

bool is_digit(char32_t c) { return c >= '0' && c <= '9'; }
bool is_letter(char32_t c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }

/// Removes ESC [ numbers letter: terminal colors and cursor movements.
std::u32string remove_terminal_escapes(const std::u32string& text) {
  std::u32string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == 0x1B && i + 1 < text.size() && text[i + 1] == '[') {
      size_t end = i + 2;
      while (end < text.size() && (is_digit(text[end]) || text[end] == ';')) ++end;
      if (end < text.size() && is_letter(text[end])) {
        i = end;
        continue;
      }
    }
    result.push_back(text[i]);
  }
  return result;
}

/// A UTF-8 character whose bytes were decoded as Windows-1252 or Latin-1, and how many characters it became.
struct Misread {
  char32_t character;
  size_t length;
};

std::optional<Misread> read_misread(std::u32string_view text) {
  std::string bytes;
  for (size_t i = 0; i < std::min<size_t>(text.size(), 4); ++i) {
    const int byte = to_windows_1252(text[i]);
    if (byte < (i == 0 ? 0xC2 : 0x80)) break;
    bytes.push_back(static_cast<char>(byte));
    const std::u32string decoded = decode_utf8(bytes);
    if (i > 0 && decoded.size() == 1 && decoded[0] != kReplacementCharacter) return Misread{decoded[0], i + 1};
  }
  return std::nullopt;
}

/// Quotes, dashes and dots that also follow letters in correct text.
bool is_ordinary_punctuation(char32_t c) { return (c >= 0x2013 && c <= 0x201E) || c == 0x2026; }

/// Whether `text` more likely begins with misdecoded UTF-8 than with correct text. Of the two-byte forms only those of
/// accented Latin-1 letters and signs (they begin with U+00C2 or U+00C3) are common; others count if they contain a
/// control character or if another misdecoded character follows directly.
bool is_plausible(std::u32string_view text, const Misread& misread) {
  const auto rest = text.substr(1, misread.length - 1);
  if (misread.length > 2) return !std::all_of(rest.begin(), rest.end(), is_ordinary_punctuation);
  if (text[0] <= 0xC3 || rest[0] < 0xA0) return true;
  const auto next = read_misread(text.substr(2));
  return next && (next->length == 2 || is_plausible(text.substr(2), *next));
}

std::u32string repair_misread_utf8(const std::u32string& text) {
  std::u32string result;
  bool after_repair = false;  // directly after a repaired character
  for (size_t i = 0; i < text.size();) {
    const auto rest = std::u32string_view(text).substr(i);
    const auto misread = read_misread(rest);
    after_repair = misread && (after_repair || is_plausible(rest, *misread));
    result.push_back(after_repair ? misread->character : text[i]);
    i += after_repair ? misread->length : 1;
  }
  return result;
}

/// The letters of a Latin ligature or digraph; empty for other characters.
std::u32string_view letters_of_ligature(char32_t c) {
  switch (c) {
    case 0x0132:
      return U"IJ";
    case 0x0133:
      return U"ij";
    case 0x0149:
      return U"\u02BCn";
    case 0x01C4:
      return U"D\u017D";
    case 0x01C5:
      return U"D\u017E";
    case 0x01C6:
      return U"d\u017E";
    case 0x01C7:
      return U"LJ";
    case 0x01C8:
      return U"Lj";
    case 0x01C9:
      return U"lj";
    case 0x01CA:
      return U"NJ";
    case 0x01CB:
      return U"Nj";
    case 0x01CC:
      return U"nj";
    case 0x01F1:
      return U"DZ";
    case 0x01F2:
      return U"Dz";
    case 0x01F3:
      return U"dz";
    case 0xFB00:
      return U"ff";
    case 0xFB01:
      return U"fi";
    case 0xFB02:
      return U"fl";
    case 0xFB03:
      return U"ffi";
    case 0xFB04:
      return U"ffl";
    case 0xFB05:
      return U"\u017Ft";
    case 0xFB06:
      return U"st";
    default:
      return {};
  }
}

/// The ordinary form of a full-width Latin or half-width Japanese character; other characters unchanged.
char32_t normal_width(char32_t c) {
  constexpr std::u32string_view kHalfwidthKatakana =  // U+FF61 on
      U"。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラ"
      U"リルレロワン"
      U"\u3099\u309A";
  if (c == 0x3000) return ' ';
  if (c >= 0xFF01 && c <= 0xFF5E) return c - 0xFEE0;
  if (c >= 0xFF61 && c < 0xFF61 + kHalfwidthKatakana.size()) return kHalfwidthKatakana[c - 0xFF61];
  return c;
}

char32_t straight_quote(char32_t c) {
  if (c == 0x02BC || (c >= 0x2018 && c <= 0x201B)) return '\'';
  return c >= 0x201C && c <= 0x201F ? U'"' : c;
}

bool is_control(char32_t c) {
  return c < 0x09 || c == 0x0B || (c >= 0x0E && c < 0x20) || c == 0x7F || (c >= 0x206A && c < 0x2070) || c == 0xFEFF ||
         (c >= 0xFFF9 && c < 0xFFFD);
}

/// Joins surrogate pairs; single surrogates become U+FFFD.
std::u32string join_surrogates(const std::u32string& text) {
  std::u32string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    if (c < 0xD800 || c >= 0xE000) {
      result.push_back(c);
    } else if (c < 0xDC00 && i + 1 < text.size() && text[i + 1] >= 0xDC00 && text[i + 1] < 0xE000) {
      result.push_back(0x10000 + ((c - 0xD800) << 10) + (text[++i] - 0xDC00));
    } else {
      result.push_back(kReplacementCharacter);
    }
  }
  return result;
}

std::u32string repair_characters(const std::u32string& text) {
  std::u32string result;
  for (char32_t c : text) {
    if (c >= 0x80 && c < 0xA0) c = from_windows_1252(static_cast<unsigned char>(c));
    const std::u32string_view letters = letters_of_ligature(c);
    for (const char32_t letter : letters.empty() ? std::u32string_view(&c, 1) : letters)
      if (!is_control(letter)) result.push_back(straight_quote(normal_width(letter)));
  }
  return result;
}

/// Repairs one line of text until nothing changes, at most a hundred times.
/// Source: ftfy 6 `fix_and_explain`.
std::u32string repair_line(std::u32string line, bool may_hold_html) {
  constexpr int kMostPasses = 100;
  std::u32string before;
  for (int pass = 0; pass < kMostPasses && line != before; ++pass) {
    before = line;
    if (may_hold_html) line = unescape_closed_html(line);
    line = remove_terminal_escapes(line);
    line = repair_misread_utf8(line);
    line = join_surrogates(line);
    line = repair_characters(line);
  }
  return line;
}

/// Entities are resolved up to the first line with a `<`; from there on the text counts as HTML source.
std::u32string repair(const std::u32string& text) {
  std::u32string result;
  bool may_hold_html = true;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(U'\n', begin), text.size() - 1) + 1;
    const std::u32string line = text.substr(begin, end - begin);
    may_hold_html = may_hold_html && line.find(U'<') == std::u32string::npos;
    result += repair_line(line, may_hold_html);
    begin = end;
  }
  return result;
}

std::u32string collapse_white_space(const std::u32string& text) {
  std::u32string result;
  bool pending = false;
  for (const char32_t c : text) {
    if (is_white_space(c)) {
      pending = !result.empty();
    } else {
      if (pending) result.push_back(' ');
      pending = false;
      result.push_back(c);
    }
  }
  return result;
}

}  // namespace

std::string clean_prompt(std::string_view text) {
  return encode_utf8(collapse_white_space(unescape_html(unescape_html(repair(decode_utf8(text))))));
}

}  // namespace flashblock
