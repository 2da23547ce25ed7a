// YAML that is read strictly: every key is known, given once, of the right type and in range.
#pragma once

#include <yaml-cpp/node/node.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace flashblock {

/// Where a value is written, for messages: `FILE:LINE` and the path of keys, such as `recipe.steps[2]`.
struct YamlPlace {
  std::string file;  ///< the name of the file, or the option that gave the value, such as `--set`
  std::string key;
  bool says_key = false;  ///< `file` is the option of this very key, so that messages do not say it again
};

/// One value of a YAML document and its place. Every reader throws ConfigError with one line:
/// `FILE:LINE: key: found ..., wanted ...`.
class YamlValue {
 public:
  YamlValue(const YAML::Node& node, YamlPlace place) : node_(node), place_(std::move(place)) {}

  std::string text() const;  ///< any scalar, as written
  bool boolean() const;      ///< true or false
  int64_t integer(int64_t least = std::numeric_limits<int64_t>::min(),
                  int64_t most = std::numeric_limits<int64_t>::max()) const;
  double number(double least = -std::numeric_limits<double>::max(),
                double most = std::numeric_limits<double>::max()) const;
  double positive_number() const;
  double positive_number_to(int64_t most) const;
  std::pair<int64_t, int64_t> frame_size() const;  ///< WIDTHxHEIGHT in pixels
  std::vector<YamlValue> list() const;

  bool is_map() const { return node_.Type() == YAML::NodeType::Map; }
  bool is_list() const { return node_.Type() == YAML::NodeType::Sequence; }
  bool is_scalar() const { return node_.Type() == YAML::NodeType::Scalar; }
  bool is_null() const { return node_.Type() == YAML::NodeType::Null; }
  const YamlPlace& place() const { return place_; }
  const YAML::Node& node() const { return node_; }

  /// Throws: ConfigError `FILE:LINE: key: problem`.
  [[noreturn]] void fail(const std::string& problem) const;

 private:
  YAML::Node node_;
  YamlPlace place_;
};

/// A mapping whose keys are all read or refused. Usage: find() every known key, then call finish().
class YamlMap {
 public:
  /// Throws: ConfigError unless `value` is a mapping of text keys, without duplicates and merge keys (`<<`).
  /// An empty document is an empty mapping.
  explicit YamlMap(const YamlValue& value);

  /// The value of `key`; null if the mapping lacks it. A key without a value (`key:`) is present.
  const YamlValue* find(const std::string& key);
  /// The value of `key`. Throws: ConfigError if the mapping lacks it.
  const YamlValue& require(const std::string& key);

  /// Throws: ConfigError for the first key that is not known, with the nearest known one.
  void finish() const;

  const YamlValue& value() const { return value_; }

 private:
  struct Entry {
    std::string key;
    YAML::Node key_node;
    YamlValue value;
  };

  YamlValue value_;
  std::vector<Entry> entries_;
  std::vector<std::string> asked_;
};

/// The document in `file`. Throws: ConfigError if it cannot be read or is not YAML.
YamlValue load_yaml(const std::filesystem::path& file);
/// The document in `text`; `name` stands for the file in messages.
YamlValue parse_yaml(const std::string& text, const std::string& name);

/// What a number must be, in words: "a whole number from 1 to 240", "a number, 0 or more".
std::string integer_words(int64_t least, int64_t most);
std::string number_words(double least, double most);

/// The words with commas between them.
std::string joined(const std::vector<std::string>& words);

/// The candidate closest to `word`; empty if none is close.
std::string nearest_word(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace flashblock
