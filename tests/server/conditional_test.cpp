// Requests that depend on what the client has already.
#include "server/conditional.h"

#include <gtest/gtest.h>

namespace flashblock {
namespace {

constexpr std::time_t kTime = 784'111'777;  // Sun, 06 Nov 1994 08:49:37 GMT
const Validators kValidators{.etag = "\"abc\"", .modified = kTime};

int status(const HttpFields& headers, const std::string& method = "GET") {
  return precondition_status({.method = method, .headers = headers}, kValidators).value_or(200);
}

TEST(HttpDate, IsWrittenInOneFormAndReadInThree) {
  EXPECT_EQ(http_date(kTime), "Sun, 06 Nov 1994 08:49:37 GMT");
  for (const char* text :
       {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"}) {
    EXPECT_EQ(parse_http_date(text), kTime) << text;
  }
  for (const char* text : {"", "yesterday", "Sun, 06 Nov 1994", "Sun, 06 Nov 1994 08:49:37 GMT+1", "784111777"}) {
    EXPECT_FALSE(parse_http_date(text)) << text;
  }
}

TEST(Preconditions, AnswerWhereTheClientHasTheCurrentState) {
  EXPECT_EQ(status({}), 200);
  for (const char* list : {"\"abc\"", "W/\"abc\"", "*", "\"x,y\", \"abc\"", "W/\"x\" , \"abc\""}) {
    EXPECT_EQ(status({{"If-None-Match", list}}), 304) << list;
    EXPECT_EQ(status({{"If-None-Match", list}}, "HEAD"), 304) << list;
  }
  for (const char* list : {"\"ab\"", "abc", "", "\"abc", "\"x\" \"y\"", "W/abc"}) {
    EXPECT_EQ(status({{"If-None-Match", list}}), 200) << list;
  }
  EXPECT_EQ(status({{"If-Modified-Since", http_date(kTime)}}), 304);
  EXPECT_EQ(status({{"If-Modified-Since", http_date(kTime + 60)}}), 304);
  EXPECT_EQ(status({{"If-Modified-Since", http_date(kTime - 1)}}), 200);
  EXPECT_EQ(status({{"If-Modified-Since", "nonsense"}}), 200);
  EXPECT_EQ(status({{"If-None-Match", "\"x\""}, {"If-Modified-Since", http_date(kTime)}}), 200) << "the tag decides";
}

TEST(Preconditions, FailWhereTheStateIsAnother) {
  EXPECT_EQ(status({{"If-Match", "\"abc\""}}), 200);
  EXPECT_EQ(status({{"If-Match", "*"}}), 200);
  EXPECT_EQ(status({{"If-Match", "\"x\""}}), 412);
  EXPECT_EQ(status({{"If-Match", "W/\"abc\""}}), 412) << "a weak tag is not enough";
  EXPECT_EQ(status({{"If-Unmodified-Since", http_date(kTime)}}), 200);
  EXPECT_EQ(status({{"If-Unmodified-Since", http_date(kTime - 1)}}), 412);
}

TEST(Preconditions, PartsAreOfTheStateThatTheClientHas) {
  const auto current = [](const HttpFields& headers) { return range_is_current({.headers = headers}, kValidators); };
  EXPECT_TRUE(current({}));
  EXPECT_TRUE(current({{"If-Range", "\"abc\""}}));
  EXPECT_TRUE(current({{"If-Range", http_date(kTime)}}));
  EXPECT_FALSE(current({{"If-Range", "\"x\""}}));
  EXPECT_FALSE(current({{"If-Range", "W/\"abc\""}}));
  EXPECT_FALSE(current({{"If-Range", http_date(kTime + 1)}}));
  EXPECT_FALSE(current({{"If-Range", ""}}));
}

}  // namespace
}  // namespace flashblock
