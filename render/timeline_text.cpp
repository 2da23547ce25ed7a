#include "render/timeline_text.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstddef>
#include <optional>
#include <sstream>

namespace flashblock {
namespace {

constexpr double kMostSeconds = 1e6;
constexpr size_t kTypedWord = 6;  // letters of the shortest word in which a typing error is looked for

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }

/// Reads a line from its beginning.
class LineReader {
 public:
  explicit LineReader(std::string_view line) : rest_(line) {}

  void skip(std::string_view characters) {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(characters), rest_.size()));
  }
  bool take(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  /// A word of letters, taken only if it is this one.
  bool take_word(std::string_view word) {
    return rest_.starts_with(word) && (rest_.size() == word.size() || !is_letter(rest_[word.size()])) && take(word);
  }

  /// `12`, `12.5` or `1:02`.
  std::optional<double> time() {
    const auto first = number();
    if (!first) return {};
    if (rest_.size() < 3 || rest_[0] != ':' || !is_digit(rest_[1]) || !is_digit(rest_[2])) return first;
    take(":");
    return 60 * *first + number().value_or(0);
  }

  std::string_view rest() const { return rest_; }

 private:
  std::optional<double> number() {
    size_t end = 0;
    while (end < rest_.size() && is_digit(rest_[end])) ++end;
    if (end == 0) return {};
    if (end + 1 < rest_.size() && rest_[end] == '.' && is_digit(rest_[end + 1])) {
      ++end;
      while (end < rest_.size() && is_digit(rest_[end])) ++end;
    }
    double value = 0;
    std::istringstream(std::string(rest_.substr(0, end))) >> value;
    rest_.remove_prefix(end);
    return value;
  }

  std::string_view rest_;
};

void take_unit(LineReader& line) {
  line.skip(" ");
  for (const std::string_view unit : {"seconds", "second", "secs", "sec", "s"})
    if (line.take_word(unit)) break;
  line.skip(" ");
}

std::string_view trimmed(std::string_view text, std::string_view characters) {
  const size_t first = text.find_first_not_of(characters);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(characters) + 1 - first);
}

std::optional<PromptChange> parse_line(std::string_view text) {
  LineReader line(text);
  line.skip(" \t*-[(#>\"");
  for (const std::string_view word : {"At ", "at "})
    if (line.take(word)) break;
  const std::string_view start = line.rest();
  const auto seconds = line.time();
  if (!seconds || *seconds > kMostSeconds) return {};
  const bool clock = start.substr(0, start.size() - line.rest().size()).find(':') != std::string_view::npos;
  take_unit(line);
  for (const std::string_view dash : {"-", "\u2013", "to "}) {  // a range: its beginning counts
    LineReader range = line;
    if (!range.take(dash)) continue;
    range.skip(" ");
    if (!range.time()) continue;
    take_unit(range);
    line = range;
    break;
  }
  const std::string_view before = line.rest();
  line.skip(" *])");
  const bool separated = line.take(":") || line.take("-") || line.take("\u2013") || line.take("\u2014") ||
                         line.take("=") || line.take(".") || line.rest().size() < before.size();
  if (!separated && !clock) return {};
  const std::string_view prompt = trimmed(line.rest(), " \t\r\"*]:");
  const auto has_meaning = [](char c) { return is_letter(c) || static_cast<signed char>(c) < 0; };
  if (std::none_of(prompt.begin(), prompt.end(), has_meaning)) return {};
  return PromptChange{.seconds = *seconds, .prompt = std::string(prompt)};
}

/// Whether one letter more, less, or other, or two neighbours exchanged make one word of the other.
bool one_error_apart(const std::string& a, const std::string& b) {
  const std::string &lesser = a.size() < b.size() ? a : b, &greater = a.size() < b.size() ? b : a;
  if (greater.size() - lesser.size() > 1) return false;
  const auto [x, y] = std::mismatch(lesser.begin(), lesser.end(), greater.begin());
  if (x == lesser.end()) return true;
  if (lesser.size() < greater.size()) return std::equal(x, lesser.end(), y + 1);
  if (std::equal(x + 1, lesser.end(), y + 1)) return true;
  return x + 1 != lesser.end() && x[0] == y[1] && x[1] == y[0] && std::equal(x + 2, lesser.end(), y + 2);
}

bool is_known(const std::string& word, const std::set<std::string>& known) {
  if (known.contains(word)) return true;
  for (const std::string_view ending : {"s", "es", "ing", "ed", "y"})
    if (word.ends_with(ending) && known.contains(word.substr(0, word.size() - ending.size()))) return true;
  if (word.size() < kTypedWord) return false;
  return std::any_of(known.begin(), known.end(), [&](const std::string& other) {
    return other.size() >= kTypedWord - 1 && one_error_apart(word, other);
  });
}

/// Lower-case words of letters alone; parts of words of other scripts and what follows an apostrophe are left out.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() && is_letter(text[end])) ++end;
    std::string word(text.substr(at, end - at));
    // What follows an apostrophe, as in "dog's", belongs to no word; nor do parts of words of other scripts.
    const auto foreign = [&](size_t place) { return place < text.size() && static_cast<signed char>(text[place]) < 0; };
    const bool part = foreign(end) || (at > 0 && (foreign(at - 1) || text[at - 1] == '\''));
    std::transform(word.begin(), word.end(), word.begin(), [](unsigned char c) { return std::tolower(c); });
    if (!part && !word.empty()) words.push_back(std::move(word));
    at = std::max(end, at + 1);
  }
  return words;
}

}  // namespace

std::vector<PromptChange> parse_timeline(std::string_view text) {
  std::vector<PromptChange> timeline;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);)
    if (auto change = parse_line(line)) timeline.push_back(std::move(*change));
  std::stable_sort(timeline.begin(), timeline.end(),
                   [](const PromptChange& a, const PromptChange& b) { return a.seconds < b.seconds; });
  const auto same = [](const PromptChange& a, const PromptChange& b) { return a.seconds == b.seconds; };
  timeline.erase(std::unique(timeline.begin(), timeline.end(), same), timeline.end());
  if (!timeline.empty()) timeline.front().seconds = 0;
  return timeline;
}

std::vector<std::string> unknown_words(std::string_view text, const std::set<std::string>& known) {
  std::vector<std::string> unknown;
  for (std::string& word : words_of(text)) {
    const bool is_new = std::find(unknown.begin(), unknown.end(), word) == unknown.end();
    if (is_new && word.size() > 1 && !is_known(word, known)) unknown.push_back(std::move(word));
  }
  return unknown;
}

bool has_word_of(std::string_view text, const std::set<std::string>& words) {
  const std::vector<std::string> all = words_of(text);
  return std::any_of(all.begin(), all.end(), [&](const std::string& word) { return is_known(word, words); });
}

std::string quoted(const std::vector<std::string>& words) {
  constexpr size_t kMost = 5;
  const size_t shown = words.size() > kMost + 1 ? kMost : words.size();
  std::string text;
  for (size_t i = 0; i < shown; ++i) {
    const bool last = i + 1 == words.size();
    text += (i == 0 ? "'" : last ? " and '" : ", '") + words[i] + "'";
  }
  if (shown < words.size()) text += " and " + std::to_string(words.size() - shown) + " others";
  return text;
}

}  // namespace flashblock
