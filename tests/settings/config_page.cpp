#include "tests/settings/config_page.h"

#include "settings/settings_table.h"

namespace flashblock::testing {
namespace {

std::string code(const std::string& text) { return "`" + text + "`"; }

/// "--output", "--no-cache (false)".
std::string options_of(const Setting& setting) {
  std::string options;
  for (const std::string& name : setting.option.names) {
    options += (options.empty() ? "" : ", ") + code(name.substr(name.rfind(',') + 1));
  }
  return setting.option.value == "false" ? options + " (false)" : options;
}

std::string default_of(const Setting& setting) {
  const std::string words = default_words(setting);
  const std::string value = words.empty() || !setting.traits.default_words.empty() ? words : code(words);
  return setting.traits.model_default ? "from the model, else " + value : value;
}

}  // namespace

std::string settings_page(PageTable table) {
  std::string page =
      "| key | meaning | values | default | alters the video | option |\n| --- | --- | --- | --- | --- | --- |\n";
  for (const Setting& setting : settings_table()) {
    if ((split_key(setting.name).first == "recipe") != (table == PageTable::kRecipe)) continue;
    page += "| " + code(setting.name) + " | " + setting.help + " | " + setting.field.values + " | " +
            default_of(setting) + " | " + (setting.traits.identity == IdentityRole::kNone ? "no" : "yes") + " | " +
            options_of(setting) + " |\n";
  }
  return page;
}

}  // namespace flashblock::testing
