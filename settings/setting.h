// One configuration key: the field that it sets, how it is read and written, and what it means for a video.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/error.h"
#include "settings/render_config.h"
#include "settings/strict_yaml.h"

namespace flashblock {

/// The value of a key as JSON, whose scalars and lists YAML shares.
using SettingValue = nlohmann::ordered_json;

/// Kinds of values that are treated differently.
enum class SettingKind {
  kPlain,       ///< booleans, numbers and names: written without quotes
  kText,        ///< free text, or a structure that holds some
  kInputFile,   ///< a path that is read
  kOutputFile,  ///< a path that is written
};

/// Access to the value of a key.
struct SettingField {
  SettingKind kind = SettingKind::kPlain;
  std::string values;  ///< the values allowed, in words: "a whole number from 1 to 240"
  /// Sets the field. Relative paths begin at `folder`. Throws: ConfigError through `value`.
  std::function<void(const YamlValue& value, const std::filesystem::path& folder, RenderConfig& config)> read;
  std::function<SettingValue(const RenderConfig& config)> write;  ///< null: not set
  std::function<void(RenderConfig& config)> reset;                ///< back to the program's default; of secrets
  /// The value in the metadata of a video, where absolute paths do not belong. Unset: of a path the name of the file,
  /// other values as they are.
  std::function<SettingValue(const RenderConfig& config)> public_name;
};

/// What a key has to do with the identity of a video.
enum class IdentityRole {
  kNone,      ///< nothing: two videos that differ in it are the same, bit for bit
  kValue,     ///< its value is part of the identity
  kChecksum,  ///< the content of the file that it names is
  kResolved,  ///< what follows from it is, such as the device that `auto` stands for; render adds that
};

/// The option of the command line that sets a key.
struct SettingOption {
  /// CLI11 names, such as "-o,--output"; more than one if an argument without a dash sets the key too. None: no option.
  std::vector<std::string> names;
  std::string group;  ///< heading in --help
  std::string type;   ///< of the value, for --help; empty for a flag
  /// What a flag sets; empty: the option takes a value. With a `type` too, `--flag=VALUE` sets another one.
  std::string value;
  std::string help;  ///< of a flag that sets false, or of an option for several keys; empty: the setting's
  /// Makes the value from all occurrences of an option that may be repeated; unset: it may not. Throws: ConfigError.
  std::function<SettingValue(const std::vector<std::string>&)> collect;
  /// The occurrences that `collect` would make `value` from.
  std::function<std::vector<std::string>(const SettingValue& value)> spread;
  /// What other programs call the key, or options of this one: `width` for size. Those who type it learn what to write.
  std::vector<std::string> also_called = {};
};

/// What a key means for a video.
struct SettingTraits {
  IdentityRole identity = IdentityRole::kValue;
  bool belongs_to_model = false;  ///< videos that differ in it cannot share a loaded model
  bool secret = false;            ///< left out of files, or given as a digest, if `metadata` is off
  bool model_default = false;     ///< a model file's `defaults` may give it
  bool written_if_empty = false;  ///< the model may bring a value, so that an empty one must be stated
  bool stands_for_group = false;  ///< a scalar in place of the mapping sets this key: `attention: exact`. So does its
                                  ///< option, and all keys of the mapping that say so: `precision: int8`
  std::string excludes;           ///< a key of the same mapping that cannot be given together with it
  std::string excludes_reason;
  std::string default_words;                           ///< for a default that is no value of the field
  std::function<bool(const RenderConfig&)> is_in_use;  ///< unset: always. What is not in use is not written
};

/// A row of the settings table.
struct Setting {
  std::string name;  ///< keys of nested mappings, separated by dots
  SettingField field;
  std::string help;  ///< a sentence without a full stop
  SettingOption option;
  SettingTraits traits;
};

/// What rows are made of. `field` is access to a field as field() below gives it.
namespace fields {

/// Frames of the longest video.
constexpr int64_t kMostFrames = 10'000'000;

/// Access to a field of RenderConfig, or of a struct within it: one pointer to member per level.
template <typename... Members>
auto field(Members... members) {
  return [=](auto& config) -> auto& { return (config.*....*members); };
}

/// A value as JSON; numbers as short as they can be without becoming another one.
SettingValue setting_value(double value);
SettingValue setting_value(const std::vector<double>& values);
inline SettingValue setting_value(const std::filesystem::path& value) { return value.string(); }
SettingValue setting_value(const std::vector<PromptChange>& timeline);
SettingValue setting_value(const std::shared_ptr<const RefreshGate>& gate);  ///< its file
template <typename T>
SettingValue setting_value(const std::optional<T>& value) {
  return value ? SettingValue(*value) : SettingValue();
}
template <typename T>
SettingValue setting_value(const T& value) {
  if constexpr (std::is_enum_v<T> || std::is_same_v<T, RefreshPolicyRef> || std::is_same_v<T, ContextRuleRef>) {
    return to_string(value);
  } else {
    return value;
  }
}

/// A field whose new value is `read(value, folder)`.
template <typename Field, typename Read>
SettingField make_field(SettingKind kind, std::string values, Field field, Read read) {
  SettingField result{.kind = kind, .values = std::move(values)};
  result.read = [=](const YamlValue& value, const std::filesystem::path& folder, RenderConfig& config) {
    field(config) = static_cast<std::decay_t<decltype(field(config))>>(read(value, folder));
  };
  result.write = [=](const RenderConfig& config) { return setting_value(field(config)); };
  result.reset = [=](RenderConfig& config) {
    const RenderConfig defaults;
    field(config) = field(defaults);
  };
  return result;
}

/// A field that `read`, a member of YamlValue, reads.
template <typename Field, typename Value>
SettingField plain(Field field, const std::string& values, Value (YamlValue::*read)() const) {
  return make_field(SettingKind::kPlain, values, field,
                    [=](const YamlValue& value, const auto&) { return (value.*read)(); });
}

SettingField boolean(auto field) { return plain(field, "true or false", &YamlValue::boolean); }
SettingField positive_number(auto field) { return plain(field, "a number above 0", &YamlValue::positive_number); }
/// A word that is checked where it is used.
SettingField name(auto field, const std::string& values) { return plain(field, values, &YamlValue::text); }

template <typename Field>
SettingField integer(Field field, int64_t least, int64_t most = std::numeric_limits<int64_t>::max()) {
  return make_field(SettingKind::kPlain, integer_words(least, most), field,
                    [=](const YamlValue& value, const auto&) { return value.integer(least, most); });
}

template <typename Field>
SettingField number(Field field, double least, double most) {
  return make_field(SettingKind::kPlain, number_words(least, most), field,
                    [=](const YamlValue& value, const auto&) { return value.number(least, most); });
}

/// Free text; no value (`key:`) is an empty text.
template <typename Field>
SettingField text(Field field) {
  return make_field(SettingKind::kText, "text", field,
                    [](const YamlValue& value, const auto&) { return value.is_null() ? std::string() : value.text(); });
}

/// A path; an empty one, or no value, unsets it.
template <typename Field>
SettingField file(Field field, SettingKind kind) {
  return make_field(kind, "a path", field, [](const YamlValue& value, const std::filesystem::path& folder) {
    const std::string text = value.is_null() ? "" : value.text();
    return text.empty() ? std::filesystem::path() : std::filesystem::absolute(folder / text).lexically_normal();
  });
}

/// The names that `parse` accepts, as its complaint lists them.
std::string choice_words(const std::function<void(std::string_view)>& parse);

/// Calls `parse` with the value's text, and gives its complaint the value's place.
template <typename Parse>
auto parse_at(const YamlValue& value, Parse parse) {
  const std::string text = value.text();
  try {
    return parse(text);
  } catch (const ConfigError& error) {
    value.fail(error.what());
  }
}

/// One of several names; `parse` throws ConfigError for all others.
template <typename Field, typename Parse>
SettingField choice(Field field, Parse parse) {
  return make_field(SettingKind::kPlain, choice_words(parse), field,
                    [=](const YamlValue& value, const auto&) { return parse_at(value, parse); });
}

// Fields of keys that are read or written in a way of their own.

SettingField prompt();
SettingField prompt_file();  ///< sets the prompt, and is not written
SettingField timeline();
/// The timeline that SECONDS=TEXT, repeated, stands for. Throws: ConfigError.
SettingValue collect_changes(const std::vector<std::string>& changes);
std::vector<std::string> spread_changes(const SettingValue& timeline);  ///< the inverse
SettingField lora();                                                    ///< adapters on top of those of the model file
std::vector<std::string> spread_loras(const SettingValue& list);        ///< FILE=SCALE of each
SettingField expand();
SettingField choices();
SettingField output();  ///< a file, or `-` or `-.y4m` for standard output
SettingField tee();
SettingValue collect_words(const std::vector<std::string>& words);  ///< a list of all occurrences
std::vector<std::string> spread_words(const SettingValue& list);    ///< the inverse
SettingField seconds();                                             ///< replaces a length in frames
SettingField size();
/// Written only: the model is read before all other keys, since it brings its recipe and its defaults.
SettingField model();
SettingField gate();
SettingField window_frames();
SettingField steps();
SettingField first_steps();

}  // namespace fields
}  // namespace flashblock
