// The settings table: every key of a render configuration, one row each. Configuration files, the command line, jobs
// files, the API, sidecars, identities, the key of a loaded model and the table in docs/config.md are loops over it.
#pragma once

#include <string>
#include <vector>

#include "settings/setting.h"

namespace flashblock {

/// All rows, in the order in which they are written; those of one mapping, such as `recipe`, stand together.
/// Thread safety: constant once the program has started.
const std::vector<Setting>& settings_table();

/// The row of a key, such as "recipe.steps"; null: there is none.
const Setting* find_setting(const std::string& name);

/// "recipe" and "steps" for "recipe.steps", "" and "seed" for "seed".
std::pair<std::string, std::string> split_key(const std::string& name);

/// No value, an empty text or an empty list.
bool is_empty(const SettingValue& value);

/// Whether the row's value is written: it is in use and not empty, or an empty value says something.
bool is_written(const Setting& setting, const SettingValue& value, const RenderConfig& config);

/// The default in words; empty: there is none.
std::string default_words(const Setting& setting);

/// Adds a row for as long as it lives, so that a test can show that nothing else is needed. Not thread-safe.
class AddedSetting {
 public:
  explicit AddedSetting(Setting setting);
  ~AddedSetting();
  AddedSetting(const AddedSetting&) = delete;
  AddedSetting& operator=(const AddedSetting&) = delete;
};

}  // namespace flashblock
