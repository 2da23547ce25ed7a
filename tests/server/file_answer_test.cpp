// Files and parts of them, and the names they are saved under.
#include "server/file_answer.h"

#include <gtest/gtest.h>

#include <fstream>

#include "server/api_error.h"
#include "tests/support/temporary_folder.h"

namespace flashblock {
namespace {

using testing::TemporaryFolder;

class Text : public BodySink {
 public:
  bool write(std::string_view bytes) override {
    text += bytes;
    return true;
  }
  bool is_open() const override { return true; }
  std::string text;
};

class FileAnswer : public ::testing::Test {
 protected:
  FileAnswer() {
    std::ofstream(folder_ / "a") << "0123";
    std::ofstream(folder_ / "b") << "456789";
  }

  HttpResponse get(const HttpFields& headers, const std::string& method = "GET") const {
    HttpResponse response;
    send_files({folder_ / "a", folder_ / "b"}, "text/plain", {.method = method, .headers = headers}, response);
    return response;
  }
  /// Status and body.
  std::pair<int, std::string> range(const std::string& value, const HttpFields& more = {}) const {
    HttpFields headers = more;
    headers.emplace_back("Range", value);
    const HttpResponse response = get(headers);
    if (!response.writer) return {response.status, ""};
    Text body;
    EXPECT_TRUE(response.writer(body));
    EXPECT_EQ(response.length, std::ssize(body.text));
    return {response.status, body.text};
  }
  static std::string header(const HttpResponse& response, const std::string& name) {
    return HttpRequest{.headers = response.headers}.header(name);
  }

  TemporaryFolder folder_;
};

using Part = std::pair<int, std::string>;

TEST_F(FileAnswer, SendsPartsOfFilesAsOne) {
  EXPECT_EQ(range("bytes=0-"), Part(206, "0123456789"));
  EXPECT_EQ(range("Bytes=2-5"), Part(206, "2345")) << "units are written in any case";
  EXPECT_EQ(range("bytes= 4-4 "), Part(206, "4"));
  EXPECT_EQ(range("bytes=-3"), Part(206, "789"));
  EXPECT_EQ(range("bytes=-99999999999999999999"), Part(206, "0123456789"));
  EXPECT_EQ(range("bytes=8-99999999999999999999999"), Part(206, "89"));
  EXPECT_EQ(header(get({{"Range", "bytes=2-5"}}), "Content-Range"), "bytes 2-5/10");
}

TEST_F(FileAnswer, RefusesPartsBeyondTheEndAndIgnoresTheRest) {
  for (const char* beyond : {"bytes=10-", "bytes=-0", "bytes=99999999999999999999-", "bytes=99999999999999999999-5"}) {
    const Part part = range(beyond);
    EXPECT_EQ(part.first, beyond == std::string("bytes=99999999999999999999-5") ? 200 : 416) << beyond;
  }
  EXPECT_EQ(header(get({{"Range", "bytes=10-"}}), "Content-Range"), "bytes */10");
  for (const char* other : {"items=0-5", "bytes=0-1,3-4", "bytes=5-2", "bytes=-", "bytes=a-b", "bytes=+1-2", "bytes",
                            "", "bytes=1-2-3", "bytes=0x1-2"}) {
    EXPECT_EQ(range(other), Part(200, "0123456789")) << other;
  }
  EXPECT_EQ(get({{"Range", "bytes=0-1"}}, "HEAD").status, 200) << "ranges are for GET";
}

TEST_F(FileAnswer, HasValidators) {
  const HttpResponse whole = get({});
  const std::string etag = header(whole, "ETag"), modified = header(whole, "Last-Modified");
  ASSERT_TRUE(etag.starts_with('"') && etag.ends_with('"')) << etag;
  const HttpResponse again = get({{"If-None-Match", etag}});
  EXPECT_EQ(again.status, 304);
  EXPECT_FALSE(again.writer);
  EXPECT_EQ(header(again, "ETag"), etag);
  EXPECT_EQ(get({{"If-Modified-Since", modified}}).status, 304);
  EXPECT_EQ(get({{"If-Match", "\"other\""}}).status, 412);
  EXPECT_EQ(range("bytes=1-2", {{"If-Range", etag}}), Part(206, "12"));
  EXPECT_EQ(range("bytes=1-2", {{"If-Range", modified}}), Part(206, "12"));
  EXPECT_EQ(range("bytes=1-2", {{"If-Range", "\"other\""}}), Part(200, "0123456789"));
  std::ofstream(folder_ / "b", std::ios::app) << "!";
  EXPECT_NE(header(get({}), "ETag"), etag);
}

TEST_F(FileAnswer, IsMissingWithoutFiles) {
  HttpResponse response;
  EXPECT_THROW(send_files({}, "text/plain", {.method = "GET"}, response), ApiError);
  EXPECT_THROW(send_files({folder_ / "none"}, "text/plain", {.method = "GET"}, response), ApiError);
}

TEST(FixedText, IsSentOnce) {
  HttpResponse first, second;
  send_fixed_text("page", "text/html", {.method = "GET"}, first);
  const std::string etag = HttpRequest{.headers = first.headers}.header("ETag");
  send_fixed_text("page", "text/html", {.method = "GET", .headers = {{"If-None-Match", etag}}}, second);
  EXPECT_EQ(first.body, "page");
  EXPECT_EQ(second.status, 304);
  EXPECT_EQ(second.body, "");
}

TEST(Attachment, HasANameInEveryScript) {
  EXPECT_EQ(attachment_header("red-balloon-7.mp4"), "attachment; filename=\"red-balloon-7.mp4\"");
  EXPECT_EQ(attachment_header("a\"b\r\n;c.mp4"), "attachment; filename=\"a_b___c.mp4\"");
  EXPECT_EQ(attachment_header("h\xc3\xbcgel-7.mp4"),
            "attachment; filename=\"hgel-7.mp4\"; filename*=UTF-8''h%C3%BCgel-7.mp4");
}

}  // namespace
}  // namespace flashblock
