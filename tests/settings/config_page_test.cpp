// docs/config.md lists every key as the settings table has it.
#include "tests/settings/config_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tests/support/test_data.h"

namespace flashblock::testing {
namespace {

std::filesystem::path page_file() { return test_data("../../docs/config.md"); }

std::string read_page() {
  std::ifstream stream(page_file());
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::string block(const std::string& name, const std::string& table) {
  return "<!-- " + name + ": begin -->\n\n" + table + "\n<!-- " + name + ": end -->\n";
}

/// `page` with the block of that name replaced.
std::string with_block(const std::string& page, const std::string& name, const std::string& table) {
  const size_t begin = page.find("<!-- " + name + ": begin -->");
  const std::string end_mark = "<!-- " + name + ": end -->\n";
  const size_t end = page.find(end_mark, begin);
  EXPECT_NE(begin, page.npos) << name;
  EXPECT_NE(end, page.npos) << name;
  if (begin == page.npos || end == page.npos) return page;
  return page.substr(0, begin) + block(name, table) + page.substr(end + end_mark.size());
}

TEST(ConfigPage, ListsTheSettingsTable) {
  const std::string page = read_page();
  std::string wanted = with_block(page, "settings", settings_page(PageTable::kSettings));
  wanted = with_block(wanted, "recipe", settings_page(PageTable::kRecipe));
  if (std::getenv("FLASHBLOCK_UPDATE_DOCS")) std::ofstream(page_file()) << wanted;
  EXPECT_EQ(read_page(), wanted) << "docs/config.md and the settings table disagree; write the page with\n"
                                    "FLASHBLOCK_UPDATE_DOCS=1 settings_tests --gtest_filter=ConfigPage.*";
}

}  // namespace
}  // namespace flashblock::testing
