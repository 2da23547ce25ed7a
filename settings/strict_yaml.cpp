#include "settings/strict_yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>
#include <sstream>

#include "core/error.h"
#include "core/file_kind.h"
#include "core/plain_text.h"

namespace flashblock {
namespace {

bool is_option(const YamlPlace& place) { return place.file.starts_with("--"); }

[[noreturn]] void fail_at(const YAML::Mark& mark, const YamlPlace& place, const std::string& problem) {
  std::string message = place.file;
  if (!is_option(place) && !mark.is_null()) message += ":" + std::to_string(mark.line + 1);
  if (!place.key.empty() && !place.says_key) message += ": " + place.key;
  throw ConfigError(message + ": " + problem);
}

/// Long and many-line values are cut: a message is one line.
std::string quoted(std::string text) {
  constexpr size_t kLongest = 60;
  if (text.size() > kLongest) text = std::string(text_beginning(text, kLongest)) + "...";
  return '"' + on_one_line(text) + '"';
}

std::string found(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Scalar:
      return "found " + quoted(node.Scalar());
    case YAML::NodeType::Sequence:
      return "found a list";
    case YAML::NodeType::Map:
      return "found a mapping";
    default:
      return "found nothing";
  }
}

template <typename Number>
std::optional<Number> parse_number(const YAML::Node& node) {
  if (!node.IsScalar()) return std::nullopt;
  const std::string& text = node.Scalar();
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// The end of a sentence about numbers: " from 1 to 240", ", 1 or more".
template <typename Number>
std::string range_text(Number least, Number most) {
  const bool open_below = least == std::numeric_limits<Number>::lowest();
  const bool open_above = most == std::numeric_limits<Number>::max();
  std::ostringstream text;
  if (!open_below && !open_above) {
    text << " from " << least << " to " << most;
  } else if (!open_below) {
    text << ", " << least << " or more";
  } else if (!open_above) {
    text << ", " << most << " or less";
  }
  return text.str();
}

std::string child_key(const std::string& parent, const std::string& key) {
  return parent.empty() ? key : parent + "." + key;
}

std::string lower_case(std::string word) {
  for (char& c : word) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return word;
}

/// Insertions, removals and replacements of a character that turn `a` into `b` (Levenshtein 1966).
size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

/// Finds where a document begins.
struct DocumentStart : YAML::EventHandler {
  YAML::Mark mark;
  void OnDocumentStart(const YAML::Mark& place) override { mark = place; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

}  // namespace

std::string YamlValue::text() const {
  if (!is_scalar()) fail(found(node_) + ", wanted text");
  if (const std::string fault = text_fault(node_.Scalar()); !fault.empty()) fail("the text " + fault);
  return node_.Scalar();
}

bool YamlValue::boolean() const {
  const std::string word = is_scalar() ? lower_case(node_.Scalar()) : "";
  if (word != "true" && word != "false") fail(found(node_) + ", wanted true or false");
  return word == "true";
}

int64_t YamlValue::integer(int64_t least, int64_t most) const {
  const auto number = parse_number<int64_t>(node_);
  if (!number || *number < least || *number > most) fail(found(node_) + ", wanted " + integer_words(least, most));
  return *number;
}

double YamlValue::number(double least, double most) const {
  const auto number = parse_number<double>(node_);
  if (!number || !std::isfinite(*number) || *number < least || *number > most)
    fail(found(node_) + ", wanted " + number_words(least, most));
  return *number;
}

double YamlValue::positive_number() const { return positive_number_to(std::numeric_limits<int64_t>::max()); }

double YamlValue::positive_number_to(int64_t most) const {
  const auto number = parse_number<double>(node_);
  const bool open = most == std::numeric_limits<int64_t>::max();
  if (!number || !std::isfinite(*number) || *number <= 0 || (!open && *number > static_cast<double>(most)))
    fail(found(node_) + ", wanted a number above 0" + (open ? "" : ", to " + std::to_string(most)));
  return *number;
}

std::pair<int64_t, int64_t> YamlValue::frame_size() const {
  constexpr int64_t kLargestSide = 16384;
  const std::string text = this->text();
  int64_t width = 0, height = 0;
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, width);
  const bool separated = first.ptr != end && (*first.ptr == 'x' || *first.ptr == 'X');
  const auto second = separated ? std::from_chars(first.ptr + 1, end, height) : first;
  if (!separated || second.ptr != end || width < 1 || height < 1 || width > kLargestSide || height > kLargestSide)
    fail("found \"" + text + "\", wanted WIDTHxHEIGHT in pixels, such as 832x480");
  return {width, height};
}

std::vector<YamlValue> YamlValue::list() const {
  if (!is_list()) fail(found(node_) + ", wanted a list");
  std::vector<YamlValue> values;
  for (const YAML::Node& node : node_)
    values.emplace_back(
        node, YamlPlace{place_.file, place_.key + "[" + std::to_string(values.size()) + "]", place_.says_key});
  return values;
}

void YamlValue::fail(const std::string& problem) const { fail_at(node_.Mark(), place_, problem); }

YamlMap::YamlMap(const YamlValue& value) : value_(value) {
  const YamlPlace& place = value.place();
  if (value.is_null() && place.key.empty()) return;  // an empty document
  if (!value.is_map()) value.fail(found(value.node()) + ", wanted a mapping of keys");
  for (const auto& pair : value.node()) {
    if (!pair.first.IsScalar()) fail_at(pair.first.Mark(), place, "a key must be a word, " + found(pair.first));
    const std::string& key = pair.first.Scalar();
    const YamlPlace child{place.file, child_key(place.key, key), place.says_key};
    if (key == "<<") fail_at(pair.first.Mark(), place, "merge keys (<<) are not supported; write the keys out");
    for (const Entry& other : entries_)
      if (other.key == key) fail_at(pair.first.Mark(), child, "given twice; keep one");
    entries_.push_back({key, pair.first, YamlValue(pair.second, child)});
  }
}

const YamlValue* YamlMap::find(const std::string& key) {
  asked_.push_back(key);
  for (const Entry& entry : entries_)
    if (entry.key == key) return &entry.value;
  return nullptr;
}

const YamlValue& YamlMap::require(const std::string& key) {
  const YamlValue* value = find(key);
  if (!value) value_.fail("the key " + key + " is missing");
  return *value;
}

void YamlMap::finish() const {
  for (const Entry& entry : entries_) {
    if (std::find(asked_.begin(), asked_.end(), entry.key) != asked_.end()) continue;
    std::string meant = nearest_word(entry.key, asked_);
    if (!meant.empty() && is_option(entry.value.place())) {  // --set, where the whole key is typed
      const std::string& whole = entry.value.place().key;
      meant = whole.substr(0, whole.size() - entry.key.size()) + meant;
    }
    fail_at(entry.key_node.Mark(), entry.value.place(),
            "unknown key, " + (meant.empty() ? "wanted one of " + joined(asked_) : "did you mean " + meant + "?"));
  }
}

YamlValue load_yaml(const std::filesystem::path& file) {
  if (const KnownFile found = known_file(file); found.kind != FileKind::kUnknown)
    throw ConfigError(file.string() + " is " + found.words + "; wanted a YAML file");
  return parse_yaml(read_text_file(file, "a YAML file"), file.string());
}

YamlValue parse_yaml(const std::string& text, const std::string& name) {
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    DocumentStart start;
    // Not YAML::LoadAll: after some faulty texts, such as "!,", it finds empty documents without end.
    if (parser.HandleNextDocument(start) && parser.HandleNextDocument(start))
      fail_at(start.mark, {name, ""}, "a second document begins here, wanted a single one");
    return {YAML::Load(text), {name, ""}};
  } catch (const YAML::Exception& error) {
    fail_at(error.mark, {name, ""}, "not YAML: " + error.msg);
  }
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string integer_words(int64_t least, int64_t most) { return "a whole number" + range_text(least, most); }
std::string number_words(double least, double most) { return "a number" + range_text(least, most); }

std::string nearest_word(const std::string& word, const std::vector<std::string>& candidates) {
  const std::string wanted = lower_case(word);
  std::string nearest;
  size_t least = std::max<size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const size_t distance = edit_distance(wanted, lower_case(candidate));
    if (distance < least) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace flashblock
