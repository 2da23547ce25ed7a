#include "settings/setting.h"

#include <charconv>

namespace flashblock::fields {

SettingValue setting_value(double value) {
  char text[64];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return SettingValue::parse(std::string(text, end));
}

SettingValue setting_value(const std::vector<double>& values) {
  SettingValue list = SettingValue::array();
  for (const double value : values) list.push_back(setting_value(value));
  return list;
}

SettingValue setting_value(const std::vector<PromptChange>& timeline) {
  SettingValue list = SettingValue::array();
  for (const PromptChange& change : timeline) {
    list.push_back({{"at", setting_value(change.seconds)}, {"prompt", change.prompt}});
  }
  return list;
}

std::string choice_words(const std::function<void(std::string_view)>& parse) {
  constexpr std::string_view kList = "possible are ";
  try {
    parse("");
  } catch (const ConfigError& error) {
    const std::string_view complaint = error.what();
    const size_t list = complaint.find(kList);
    if (list != complaint.npos) return std::string(complaint.substr(list + kList.size()));
  }
  return "a name";
}

}  // namespace flashblock::fields
