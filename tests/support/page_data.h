// What a page of the program draws itself from.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace flashblock::testing {

/// The JSON that is embedded in a page; null, and a failure, if there is none.
inline nlohmann::json page_data(std::string_view page) {
  constexpr std::string_view kBegin = "<script type=\"application/json\" id=\"data\">";
  const size_t begin = page.find(kBegin);
  const size_t end = begin == std::string_view::npos ? begin : page.find("</script>", begin);
  if (end == std::string_view::npos) {
    ADD_FAILURE() << "no data in " << page.substr(0, 200);
    return nullptr;
  }
  return nlohmann::json::parse(page.substr(begin + kBegin.size(), end - begin - kBegin.size()));
}

}  // namespace flashblock::testing
