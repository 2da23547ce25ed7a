// The settings of `flashblock text`: keys of their own for decoding, and those that they share with videos.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "language/text_decoder.h"
#include "settings/config_file.h"
#include "settings/strict_yaml.h"

namespace flashblock {

/// Cached tokens from which texts reuse attention unless asked otherwise. Over fewer, their keys and values are at most
/// 2 % of the bytes that a pass of SDAR-8B reads, and 7 % of SDAR-1.7B's: there is nothing to gain, and texts are
/// exact.
inline constexpr int64_t kReuseFromTokens = 2048;

/// What a text is decoded with.
struct TextConfig {
  std::string device = "auto";  ///< as in RenderConfig
  std::string dtype = "auto";
  std::optional<uint64_t> seed;  ///< unset: to be drawn
  DecodingConfig decoding = {.reuse_from = kReuseFromTokens};
  AttentionConfig attention = text_attention();
};

/// A key of texts.
struct TextSetting {
  std::string name;
  std::string help;       ///< a sentence without a full stop
  std::string values;     ///< the values allowed, in words
  std::string otherwise;  ///< the default in words
  std::function<void(const YamlValue& value, TextConfig& config)> read;
  std::string option = {};  ///< of the command line that sets it too, such as "--seed"; empty: none
  std::string type = {};    ///< of its value, for --help
};

/// The keys of texts, in the order in which help and page list them. Those that videos have too are read by their rows
/// of settings_table.h; further keys of `attention` mean what they mean for videos, and are not listed.
const std::vector<TextSetting>& text_settings();

/// Sets one key; `option` is what gave it, for messages. Throws: ConfigError for an unknown key, a value of the wrong
/// type or out of range.
void read_text_setting(const std::string& option, const std::string& key, const std::string& yaml, TextConfig& config);

/// Sets all keys of a layer, as of a configuration file, but for `model`, which is read before. Throws: ConfigError.
void read_text_settings(const ConfigLayer& layer, TextConfig& config);

/// Throws: ConfigError for settings out of range, or that exclude each other.
void validate(const TextConfig& config);

/// The language model in the box, by its name in a model folder, where it is looked for before the current folder.
inline constexpr const char* kIncludedLanguageModel = "story";

/// The folder of a language model as published, by its path or its name in a model folder. None: there is no such
/// folder, or it holds something else.
std::optional<std::filesystem::path> language_folder(const std::string& name);

/// The same, or the folder that a model file names: `architecture: sdar` and `model: FOLDER`. Throws: WeightsError if
/// there is none; ConfigError for errors in the file, and for a model of another kind.
std::filesystem::path find_language_model(const std::string& name);

}  // namespace flashblock
