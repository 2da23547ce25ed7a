// Bodies that are JSON, almost JSON, and not JSON.
#include "server/request_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "server/api_error.h"

namespace flashblock {
namespace {

using Document = nlohmann::json;

/// Message and param of the error; both empty if there is none.
std::pair<std::string, std::string> error_of(const std::string& text) {
  try {
    parse_request_json(text);
  } catch (const ApiError& error) {
    EXPECT_EQ(error.error().status, 400);
    return {error.error().message, error.error().param};
  }
  return {};
}

TEST(RequestJson, IsReadAsItStands) {
  const std::string text =
      R"({"a": [1, -2, 2.5, true, null, "x\u00e9", {}], "b": {"a": {"a": []}}, "c": 9007199254740993, "d": ""})";
  EXPECT_EQ(parse_request_json(text), Document::parse(text));
  EXPECT_EQ(parse_request_json("\xef\xbb\xbf[]"), Document::array()) << "with a byte order mark";
  EXPECT_EQ(parse_request_json("7"), 7);
}

TEST(RequestJson, NumbersThatAreTooLargeAreReadAsTheLargest) {
  const Document read = parse_request_json(R"({"seconds": 1e400, "x": [-1e999, 5, 1e400], "seed": 1e-400})");
  EXPECT_EQ(read.at("seconds"), 1e308);
  EXPECT_EQ(read.at("x"), Document({-1e308, 5, 1e308}));
  EXPECT_EQ(read.at("seed"), 0.0);
  std::string many = "[0";
  for (int i = 0; i < 1000; ++i) many += ",1e999";
  EXPECT_NE(error_of(many + "]").first, "");
}

TEST(RequestJson, KeysThatAreGivenTwiceAreNamed) {
  EXPECT_EQ(error_of(R"({"prompt": "a", "seed": 1, "prompt": "b"})").second, "prompt");
  EXPECT_EQ(error_of(R"({"timeline": [{"at": 1, "at": 2}]})").second, "at");
  EXPECT_EQ(error_of(R"({"prompt": "a", "pr\u006fmpt": "b"})").second, "prompt") << "however they are written";
  EXPECT_EQ(error_of(R"([{"a": 1}, {"a": 1}])").first, "");
}

TEST(RequestJson, SaysWhatIsWrong) {
  EXPECT_EQ(error_of("{\"prompt\": \"\xff\"}").first,
            "the body is not UTF-8: it has the byte FF, as in Latin-1 and Windows-1252");
  EXPECT_EQ(error_of(std::string("\xff\xfe{\0", 4)).first, "the body is UTF-16, wanted UTF-8");
  EXPECT_EQ(error_of(R"({"a": 1,})").first, "the body is not JSON: see its byte 9");
  for (const char* text : {"", "{", "{} {}", "nan", "{'a': 1}", "[1 2]", "{\"a\"}", "\"\\ud800\"", "[1e400"}) {
    EXPECT_NE(error_of(text).first, "") << text;
  }
  EXPECT_EQ(error_of(std::string(20'000, '[')).first, "the body is nested too deeply");
  EXPECT_EQ(error_of(std::string(64, '[') + std::string(64, ']')).first, "");
}

}  // namespace
}  // namespace flashblock
