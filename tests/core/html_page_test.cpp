#include "core/html_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace flashblock {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kPage = "<p>before</p><script type=\"application/json\" id=\"data\"></script><p>after</p>";

TEST(HtmlPage, DataUrisAreBase64) {
  // RFC 4648, section 10.
  EXPECT_EQ(data_uri("a/b", ""), "data:a/b;base64,");
  EXPECT_EQ(data_uri("a/b", "f"), "data:a/b;base64,Zg==");
  EXPECT_EQ(data_uri("a/b", "fo"), "data:a/b;base64,Zm8=");
  EXPECT_EQ(data_uri("a/b", "foo"), "data:a/b;base64,Zm9v");
  EXPECT_EQ(data_uri("a/b", "foobar"), "data:a/b;base64,Zm9vYmFy");
  EXPECT_EQ(data_uri("a/b", "\xff\xfe\xfd"), "data:a/b;base64,//79");
}

TEST(HtmlPage, DataCannotEndItsElementAndComesBackWhole) {
  const nlohmann::ordered_json data = {
      {"prompt", "</script><script>alert(1)</script> <!-- schöne Hügel \u2028 & \"x\""}, {"values", {1.5, nullptr}}};
  const std::string page = html_page(kPage, data);
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(page, Not(HasSubstr("<!--")));
  EXPECT_THAT(page, Not(HasSubstr("\u2028")));
  const size_t begin = page.find('{'), end = page.find("</script>");
  EXPECT_EQ(nlohmann::ordered_json::parse(page.substr(begin, end - begin)), data);
  EXPECT_TRUE(page.starts_with("<p>before</p>"));
  EXPECT_TRUE(page.ends_with("</script><p>after</p>"));
}

TEST(HtmlPage, BytesThatAreNotTextAreReplaced) {
  const nlohmann::ordered_json data = {{"prompt", "a\xff"}};
  EXPECT_THAT(html_page(kPage, data), HasSubstr("\"a\\ufffd\""));
  EXPECT_EQ(json_text(data, -1), "{\"prompt\":\"a\uFFFD\"}\n");
}

}  // namespace
}  // namespace flashblock
