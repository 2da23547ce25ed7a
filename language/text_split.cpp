#include "language/text_split.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "language/unicode_classes.h"

namespace flashblock {
namespace {

bool ends_line(char32_t character) { return character == U'\r' || character == U'\n'; }

// Case folding of the characters of the contractions.
char32_t folded(char32_t character) {
  if (character >= U'A' && character <= U'Z') return character + (U'a' - U'A');
  return character == 0x017F ? U's' : character;  // long s
}

/// Lengths of what the alternatives of the pattern match at one place; 0: nothing.
class Scanner {
 public:
  Scanner(std::u32string_view text, size_t at) : text_(text), at_(at) {}

  size_t contraction() const {
    if (text_[at_] != U'\'') return 0;
    static constexpr std::array<std::u32string_view, 7> kEndings = {U"s", U"t", U"re", U"ve", U"m", U"ll", U"d"};
    for (const std::u32string_view ending : kEndings) {
      if (text_.size() - at_ - 1 < ending.size()) continue;
      const auto same = [](char32_t wanted, char32_t found) { return wanted == folded(found); };
      if (std::equal(ending.begin(), ending.end(), text_.begin() + long(at_) + 1, same)) return 1 + ending.size();
    }
    return 0;
  }

  size_t word() const {
    const bool prefix = !ends_line(text_[at_]) && !is_letter(text_[at_]) && !is_number(text_[at_]);
    const size_t first = at_ + (prefix ? 1 : 0), end = run_end(first, is_letter);
    return end > first ? end - at_ : 0;
  }

  size_t number() const { return is_number(text_[at_]) ? 1 : 0; }

  size_t signs() const {
    const size_t first = at_ + (text_[at_] == U' ' ? 1 : 0);
    const auto is_sign = [](char32_t c) { return !is_space(c) && !is_letter(c) && !is_number(c); };
    const size_t end = run_end(first, is_sign);
    return end > first ? run_end(end, ends_line) - at_ : 0;
  }

  size_t white_space() const {
    const size_t end = run_end(at_, is_space);
    for (size_t last = end; last > at_; --last)
      if (ends_line(text_[last - 1])) return last - at_;
    const bool ends_text = end == text_.size();
    return ends_text || end == at_ + 1 ? end - at_ : end - at_ - 1;
  }

 private:
  template <typename Test>
  size_t run_end(size_t from, Test test) const {
    while (from < text_.size() && test(text_[from])) ++from;
    return from;
  }

  std::u32string_view text_;
  size_t at_;
};

}  // namespace

std::vector<std::u32string_view> split_text(std::u32string_view text) {
  std::vector<std::u32string_view> parts;
  for (size_t at = 0; at < text.size();) {
    const Scanner scanner(text, at);
    size_t length = scanner.contraction();
    if (length == 0) length = scanner.word();
    if (length == 0) length = scanner.number();
    if (length == 0) length = scanner.signs();
    if (length == 0) length = scanner.white_space();
    parts.push_back(text.substr(at, length));
    at += length;
  }
  return parts;
}

}  // namespace flashblock
