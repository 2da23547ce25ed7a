// The tables of docs/config.md, written from the settings table.
#pragma once

#include <string>

namespace flashblock::testing {

/// The keys of `recipe`, or all others, as a Markdown table.
enum class PageTable { kSettings, kRecipe };
std::string settings_page(PageTable table = PageTable::kSettings);

}  // namespace flashblock::testing
