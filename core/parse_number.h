// Numbers in text.
#pragma once

#include <charconv>
#include <optional>
#include <string_view>

namespace flashblock {

/// The number that all of `text` is, in decimal; none for any other text, and for a number that does not fit.
template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc() || end != text.data() + text.size()) return {};
  return number;
}

}  // namespace flashblock
