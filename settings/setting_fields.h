// The fields of keys that are read or written in a way of their own. Private to settings/.
#pragma once

#include <string>
#include <vector>

#include "settings/setting.h"

namespace flashblock::fields {

SettingField prompt();
SettingField prompt_file();  ///< sets the prompt, and is not written
SettingField timeline();
/// The timeline that SECONDS=TEXT, repeated, stands for. Throws: ConfigError.
SettingValue collect_changes(const std::vector<std::string>& changes);
std::vector<std::string> spread_changes(const SettingValue& timeline);  ///< the inverse
SettingField seconds();                                                 ///< replaces a length in frames
SettingField size();
/// Written only: the model is read before all other keys, since it brings its recipe and its defaults.
SettingField model();
SettingField gate();
SettingField window_frames();
SettingField steps();
SettingField first_steps();

}  // namespace flashblock::fields
