#include "models/html_entities.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <sstream>
#include <unordered_map>

#include "models/unicode_text.h"

namespace flashblock {
namespace {

// Names of U+00A0 to U+00FF, in order. Source: HTML 4.01, section 24.2.
constexpr const char* kLatin1Names =
    "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute "
    "micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring "
    "AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml "
    "times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil "
    "egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash "
    "ugrave uacute ucirc uuml yacute thorn yuml ";

// Names and code points. Source: HTML 4.01, sections 24.3 and 24.4; apos: XML.
constexpr const char* kOtherNames =
    "quot 22 amp 26 apos 27 lt 3c gt 3e OElig 152 oelig 153 Scaron 160 scaron 161 Yuml 178 fnof 192 circ 2c6 tilde "
    "2dc Alpha 391 Beta 392 Gamma 393 Delta 394 Epsilon 395 Zeta 396 Eta 397 Theta 398 Iota 399 Kappa 39a Lambda "
    "39b Mu 39c Nu 39d Xi 39e Omicron 39f Pi 3a0 Rho 3a1 Sigma 3a3 Tau 3a4 Upsilon 3a5 Phi 3a6 Chi 3a7 Psi 3a8 "
    "Omega 3a9 alpha 3b1 beta 3b2 gamma 3b3 delta 3b4 epsilon 3b5 zeta 3b6 eta 3b7 theta 3b8 iota 3b9 kappa 3ba "
    "lambda 3bb mu 3bc nu 3bd xi 3be omicron 3bf pi 3c0 rho 3c1 sigmaf 3c2 sigma 3c3 tau 3c4 upsilon 3c5 phi 3c6 "
    "chi 3c7 psi 3c8 omega 3c9 thetasym 3d1 upsih 3d2 piv 3d6 ensp 2002 emsp 2003 thinsp 2009 zwnj 200c zwj 200d "
    "lrm 200e rlm 200f ndash 2013 mdash 2014 lsquo 2018 rsquo 2019 sbquo 201a ldquo 201c rdquo 201d bdquo 201e "
    "dagger 2020 Dagger 2021 bull 2022 hellip 2026 permil 2030 prime 2032 Prime 2033 lsaquo 2039 rsaquo 203a oline "
    "203e frasl 2044 euro 20ac image 2111 weierp 2118 real 211c trade 2122 alefsym 2135 larr 2190 uarr 2191 rarr "
    "2192 darr 2193 harr 2194 crarr 21b5 lArr 21d0 uArr 21d1 rArr 21d2 dArr 21d3 hArr 21d4 forall 2200 part 2202 "
    "exist 2203 empty 2205 nabla 2207 isin 2208 notin 2209 ni 220b prod 220f sum 2211 minus 2212 lowast 2217 radic "
    "221a prop 221d infin 221e ang 2220 and 2227 or 2228 cap 2229 cup 222a int 222b there4 2234 sim 223c cong 2245 "
    "asymp 2248 ne 2260 equiv 2261 le 2264 ge 2265 sub 2282 sup 2283 nsub 2284 sube 2286 supe 2287 oplus 2295 "
    "otimes 2297 perp 22a5 sdot 22c5 lceil 2308 rceil 2309 lfloor 230a rfloor 230b lang 2329 rang 232a loz 25ca "
    "spades 2660 clubs 2663 hearts 2665 diams 2666 ";

struct Entity {
  char32_t code_point;
  bool may_stay_open;  ///< browsers accept it without a semicolon
};

std::unordered_map<std::string, Entity> read_entities() {
  std::unordered_map<std::string, Entity> entities;
  std::string name;
  char32_t code_point = 0xA0;
  for (std::istringstream names(kLatin1Names); names >> name; ++code_point) entities[name] = {code_point, true};
  uint32_t value = 0;
  for (std::istringstream names(kOtherNames); names >> name >> std::hex >> value;)
    entities[name] = {value, value < 0x80 && name != "apos"};
  for (const auto& [upper, lower] : {std::pair("AMP", "amp"), std::pair("LT", "lt"), std::pair("GT", "gt"),
                                     std::pair("QUOT", "quot"), std::pair("COPY", "copy"), std::pair("REG", "reg")})
    entities[upper] = entities.at(lower);
  return entities;
}

const Entity* find_entity(const std::string& name) {
  static const auto entities = read_entities();
  const auto found = entities.find(name);
  return found == entities.end() ? nullptr : &found->second;
}

/// The text of one reference, and its length in characters from the ampersand on.
struct Reference {
  std::u32string text;
  size_t length;
};

bool is_noncharacter(uint32_t c) { return (c & 0xFFFE) == 0xFFFE || (c >= 0xFDD0 && c <= 0xFDEF); }

std::u32string from_number(uint32_t c) {
  if (c == 0 || (c >= 0xD800 && c < 0xE000) || c > 0x10FFFF) return {kReplacementCharacter};
  if (c >= 0x80 && c < 0xA0) return {from_windows_1252(static_cast<unsigned char>(c))};
  if (c < 0x09 || c == 0x0B || (c >= 0x0E && c < 0x20) || c == 0x7F || is_noncharacter(c)) return {};
  return {static_cast<char32_t>(c)};
}

int digit_of(char32_t c, int base) {
  if (c >= '0' && c <= '9') return static_cast<int>(c - '0');
  const char32_t lower = c | 0x20;
  return base == 16 && lower >= 'a' && lower <= 'f' ? static_cast<int>(lower - 'a') + 10 : -1;
}

/// `text` begins with "&#".
std::optional<Reference> read_number(std::u32string_view text) {
  const int base = text.size() > 2 && (text[2] | 0x20) == 'x' ? 16 : 10;
  const size_t first = base == 16 ? 3 : 2;
  size_t end = first;
  uint32_t value = 0;
  for (; end < text.size() && digit_of(text[end], base) >= 0; ++end)
    value = std::min<uint32_t>(value * base + digit_of(text[end], base), 0x110000);
  if (end == first) return std::nullopt;
  if (end < text.size() && text[end] == ';') ++end;
  return Reference{from_number(value), end};
}

bool is_name_character(char32_t c) {
  return c < 0x80 && ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'));
}

std::string read_name(std::u32string_view text) {
  constexpr size_t kLongest = 32;
  std::string name;
  for (size_t i = 1; i < text.size() && name.size() < kLongest && is_name_character(text[i]); ++i)
    name.push_back(static_cast<char>(text[i]));
  return name;
}

bool is_closed(std::u32string_view text, size_t length) { return length < text.size() && text[length] == ';'; }

/// `text` begins with an ampersand. The longest known name wins.
std::optional<Reference> read_reference(std::u32string_view text) {
  if (text.size() > 1 && text[1] == '#') return read_number(text);
  std::string name = read_name(text);
  const bool closed = is_closed(text, 1 + name.size());
  if (const Entity* entity = find_entity(name); entity && (closed || entity->may_stay_open))
    return Reference{{entity->code_point}, 1 + name.size() + (closed ? 1 : 0)};
  for (; name.size() > 1; name.pop_back())
    if (const Entity* entity = find_entity(name); entity && entity->may_stay_open)
      return Reference{{entity->code_point}, 1 + name.size()};
  return std::nullopt;
}

/// Capital of a Latin-1 or Greek small letter; other characters unchanged.
char32_t capital(char32_t c) {
  const bool latin = c >= 0xE0 && c <= 0xFE && c != 0xF7;
  const bool greek = c >= 0x3B1 && c <= 0x3C9 && c != 0x3C2;
  return latin || greek ? c - 0x20 : c;
}

std::optional<Reference> read_closed_reference(std::u32string_view text) {
  if (text.size() > 1 && text[1] == '#') {
    auto number = read_number(text);
    return number && text[number->length - 1] == ';' ? number : std::nullopt;
  }
  std::string name = read_name(text);
  const size_t length = 1 + name.size();
  if (!is_closed(text, length)) return std::nullopt;
  if (const Entity* entity = find_entity(name)) return Reference{{entity->code_point}, length + 1};
  if (std::any_of(name.begin(), name.end(), [](char c) { return c >= 'a' && c <= 'z'; })) return std::nullopt;
  for (char& c : name) c = static_cast<char>(c | 0x20);
  if (const Entity* entity = find_entity(name)) return Reference{{capital(entity->code_point)}, length + 1};
  return std::nullopt;
}

template <typename Reader>
std::u32string replace_references(std::u32string_view text, Reader read) {
  std::u32string result;
  for (size_t i = 0; i < text.size();) {
    const auto reference = text[i] == '&' ? read(text.substr(i)) : std::nullopt;
    result += reference ? reference->text : std::u32string(1, text[i]);
    i += reference ? reference->length : 1;
  }
  return result;
}

}  // namespace

std::u32string unescape_html(std::u32string_view text) { return replace_references(text, read_reference); }

std::u32string unescape_closed_html(std::u32string_view text) {
  return replace_references(text, read_closed_reference);
}

}  // namespace flashblock
