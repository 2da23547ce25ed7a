// Forms as browsers and OpenAI's client send them, and bodies that are not forms.
#include "server/form_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/api_error.h"

namespace flashblock {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

constexpr const char* kType = "multipart/form-data; boundary=x-1";

std::string part(const std::string& disposition, const std::string& content) {
  return "--x-1\r\nContent-Disposition: form-data; " + disposition + "\r\n\r\n" + content + "\r\n";
}

std::vector<std::pair<std::string, std::string>> fields(const std::string& body, const std::string& type = kType) {
  std::vector<std::pair<std::string, std::string>> list;
  for (const FormPart& part : parse_form(type, body)) list.emplace_back(part.name, part.content);
  return list;
}

TEST(FormData, ReadsFieldsInOrder) {
  const std::string body = part("name=\"prompt\"", "a \"red\" hill\r\n--x\r\nby a lake") + part("name=\"size\"", "") +
                           part("name=seed", "7") + "--x-1--\r\n";
  EXPECT_THAT(fields(body),
              ElementsAre(Pair("prompt", "a \"red\" hill\r\n--x\r\nby a lake"), Pair("size", ""), Pair("seed", "7")));
  EXPECT_THAT(fields("a preamble\r\n" + body).size(), 3u);
  EXPECT_THAT(fields(body, "Multipart/Form-Data; charset=utf-8; BOUNDARY=\"x-1\"").size(), 3u);
  EXPECT_TRUE(fields("--x-1--").empty());
}

TEST(FormData, ReadsOtherHeadersAndQuotedNames) {
  const std::string body =
      "--x-1 \r\ncontent-type: text/plain\r\nCONTENT-DISPOSITION: form-data ; filename*=x; NAME=\"a; b=c\"\r\n\r\nd\r\n"
      "--x-1--";
  EXPECT_THAT(fields(body), ElementsAre(Pair("a; b=c", "d")));
}

TEST(FormData, TellsFilesFromFields) {
  const auto parts = parse_form(
      kType, part("name=\"a\"; filename=\"a.png\"", "1") + part("name=\"b\"; filename=\"\"", "") + "--x-1--");
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_TRUE(parts[0].is_file);
  EXPECT_FALSE(parts[1].is_file) << "a file input without a file";
}

TEST(FormData, RejectsWhatIsNoForm) {
  const std::string good = part("name=\"a\"", "1");
  for (const std::string& body :
       {std::string(), std::string("{}"), good, good + "--x-1", good + "--x-1 y\r\n",
        part("filename=\"a\"", "1") + "--x-1--", std::string("--x-1\r\nContent-Disposition: form-data; name=\"a\"\r\n"),
        std::string("--x-1\r\n\r\n1\r\n--x-1--"), part("name=\"a", "1") + "--x-1--"}) {
    EXPECT_THROW(fields(body), ApiError) << body;
  }
  for (const char* type :
       {"multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"x"}) {
    EXPECT_THROW(fields(good + "--x-1--", type), ApiError) << type;
  }
}

TEST(FormData, KnowsItsType) {
  EXPECT_TRUE(is_form("multipart/form-data"));
  EXPECT_TRUE(is_form("Multipart/Form-Data ; boundary=x"));
  EXPECT_FALSE(is_form("multipart/mixed; boundary=x"));
  EXPECT_FALSE(is_form("application/json"));
  EXPECT_FALSE(is_form(""));
}

}  // namespace
}  // namespace flashblock
