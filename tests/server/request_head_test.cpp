// Requests that follow HTTP's grammar but are rejected all the same, and how targets are split.
#include "server/request_head.h"

#include <gtest/gtest.h>

namespace flashblock {
namespace {

HttpRequest request(const HttpFields& headers, const std::string& target = "/v1/videos") {
  HttpRequest result{.method = "GET", .headers = headers};
  set_target(result, target);
  return result;
}

/// The status and code of the error; 0 if there is none.
std::pair<int, std::string> outcome(const HttpRequest& request, const RequestLimits& limits = {}) {
  const auto error = check_request_head(request, limits);
  if (!error) return {0, ""};
  return {error->status, error->code};
}

using Outcome = std::pair<int, std::string>;
const Outcome kAccepted{0, ""}, kBad{400, "bad_request"};

TEST(RequestHead, AcceptsOrdinaryRequests) {
  EXPECT_EQ(outcome(request({{"host", "localhost"}})), kAccepted);
  EXPECT_EQ(outcome(request({{"Host", "videos.example:8080"},
                             {"Content-Length", "65536"},
                             {"CONTENT-ENCODING", "Identity"},
                             {"Expect", "100-Continue"},
                             {"Range", "bytes=0-18446744073709551615"},
                             {"Accept", "text/html, */*"}})),
            kAccepted);
}

TEST(RequestHead, WantsOneHostAndOneLength) {
  EXPECT_EQ(outcome(request({})), kBad);
  EXPECT_EQ(outcome(request({{"Host", "a"}, {"HOST", "a"}})), kBad);
  EXPECT_EQ(outcome(request({{"Host", "a b"}})), kBad) << "as Beast joins folded lines";
  for (const char* length : {"1, 1", "+1", "-1", "0x10", "1 1"}) {
    EXPECT_EQ(outcome(request({{"Host", "a"}, {"Content-Length", length}})), kBad) << length;
  }
  EXPECT_EQ(outcome(request({{"Host", "a"}, {"Content-Length", "1"}, {"content-length", "1"}})), kBad);
}

TEST(RequestHead, TakesChunksAndNoOtherCoding) {
  EXPECT_EQ(outcome(request({{"Host", "a"}, {"transfer-encoding", "Chunked"}})), kAccepted);
  EXPECT_EQ(outcome(request({{"Host", "a"}, {"Transfer-Encoding", "chunked"}, {"Content-Length", "1"}})), kBad);
  EXPECT_EQ(outcome(request({{"Host", "a"}, {"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "chunked"}})),
            kBad);
  for (const char* coding : {"identity", "gzip, chunked", "chunked, chunked", "xchunked"}) {
    EXPECT_EQ(outcome(request({{"Host", "a"}, {"Transfer-Encoding", coding}})), Outcome(501, "transfer_encoding"));
  }
  EXPECT_EQ(outcome(request({{"Host", "a"}, {"Content-Encoding", "gzip"}})), Outcome(415, "content_encoding"));
}

TEST(RequestHead, RejectsOtherExpectationsAndHeadersThatDecideTwice) {
  EXPECT_EQ(outcome(request({{"Host", "a"}, {"Expect", "200-ok"}})), Outcome(417, "expectation"));
  EXPECT_EQ(outcome(request({{"Host", "a"}, {"Range", "bytes=0-1,3-4"}})), kAccepted)
      << "whoever sends files ignores it";
  for (const char* name : {"Range", "If-Range", "Authorization", "Origin", "Content-Type"}) {
    EXPECT_EQ(outcome(request({{"Host", "a"}, {name, "x"}, {name, "x"}})), kBad) << name;
  }
}

TEST(RequestHead, HasLimits) {
  const RequestLimits limits{.headers = 2, .target_bytes = 8};
  EXPECT_EQ(outcome(request({{"Host", "a"}, {"X", ""}}, "/1234567"), limits), kAccepted);
  EXPECT_EQ(outcome(request({{"Host", "a"}, {"X", ""}, {"X", ""}}, "/"), limits), Outcome(431, "too_many_headers"));
  EXPECT_EQ(outcome(request({{"Host", "a"}}, "/12345678"), limits), Outcome(414, "target_too_long"));
  EXPECT_EQ(outcome(request({{"Host", "a"}}, "/?345678"), limits), kAccepted);
  EXPECT_EQ(outcome(request({{"Host", "a"}}, "/?3456789"), limits), Outcome(414, "target_too_long"));
}

TEST(RequestHead, WantsAPathOfVisibleCharacters) {
  for (const char* target : {"*", "http://localhost/", "localhost:80", "", "/a\x80", "/\x7f"}) {
    EXPECT_EQ(outcome(request({{"Host", "a"}}, target)), kBad) << target;
  }
}

TEST(HttpRequest, DecodesPathAndQuery) {
  const HttpRequest decoded = request({}, "/a%2Fb+c%zz%4?x=1+2%26&&y&=z&x=3&p%3d=%3D=");
  EXPECT_EQ(decoded.path, "/a/b+c%zz%4");
  EXPECT_EQ(decoded.query, HttpFields({{"x", "1 2&"}, {"y", ""}, {"", "z"}, {"x", "3"}, {"p=", "=="}}));
  EXPECT_EQ(decoded.query_parameter("x"), "1 2&");
  EXPECT_EQ(decoded.query_parameter("y"), "");
  EXPECT_FALSE(decoded.query_parameter("X"));
  EXPECT_TRUE(request({}, "/a?").query.empty());
}

TEST(HttpRequest, FindsHeadersInAnyCase) {
  const HttpRequest headers = request({{"Range", "first"}, {"RANGE", "second"}, {"X", ""}});
  EXPECT_EQ(headers.header("range"), "first");
  EXPECT_EQ(headers.header("Y"), "");
  EXPECT_TRUE(headers.has_header("x"));
  EXPECT_FALSE(headers.has_header("Rang"));
}

TEST(HttpResponse, ReplacesHeadersOfTheSameName) {
  HttpResponse response;
  response.set_stream(
      "video/mp4", [](BodySink&) { return true; }, 7);
  response.set_header("content-type", "text/plain");
  response.set_header("X", "1");
  EXPECT_EQ(response.headers, HttpFields({{"Content-Type", "text/plain"}, {"X", "1"}}));
  response.set_content("text", "text/html");
  EXPECT_FALSE(response.writer) << "the last one set counts";
  EXPECT_EQ(response.headers.front().second, "text/html");
}

}  // namespace
}  // namespace flashblock
