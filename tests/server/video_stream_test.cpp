// A video's segments for viewers that keep up, are slow, stop reading or disconnect.
#include "server/video_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <thread>

#include "core/error.h"
#include "server/stream_routes.h"
#include "tests/support/raw_client.h"
#include "tests/support/temporary_folder.h"

namespace flashblock {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using enum StreamCursor::Start;

constexpr int64_t kSegments = 64;
constexpr int64_t kWords = 8192;  // of a segment: large compared with the system's buffers
constexpr int kFewBytes = 4096;   // of a slow viewer's receive buffer

/// A segment: its number in eight digits, repeated.
std::string segment(int64_t number) {
  std::string word = std::to_string(10'000'000 + number), bytes;
  for (int64_t i = 0; i < kWords; ++i) bytes += word;
  return bytes;
}

/// The numbers of the segments that a viewer received after the init segment; empty if one of them is incomplete.
std::vector<int64_t> segments_of(const std::string& bytes) {
  std::vector<int64_t> numbers;
  for (size_t at = 0; at < bytes.size(); at += kWords * 8) {
    const int64_t number = std::stoll(bytes.substr(at, 8)) - 10'000'000;
    if (bytes.substr(at, kWords * 8) != segment(number)) return {};
    numbers.push_back(number);
  }
  return numbers;
}

std::vector<int64_t> numbers(int64_t first, int64_t end) {
  std::vector<int64_t> list;
  for (int64_t i = first; i < end; ++i) list.push_back(i);
  return list;
}

/// A server with one video to which tests append segments.
class VideoStreamTest : public ::testing::Test {
 protected:
  void serve(const ConnectionTimes& times = {}) {
    server_.emplace(HttpServerOptions{.port = 0, .times = times});
    add_stream_routes(*server_, streams_, /*catalog=*/nullptr);
    server_->start();
    stream_->begin("init");
    streams_.set_current("video", stream_);
  }

  void append(int64_t first, int64_t end) {
    for (int64_t i = first; i < end; ++i) stream_->append(segment(i), i * 12, 12);
  }

  /// A new viewer. Uses HTTP/1.0, whose responses have no chunks.
  std::unique_ptr<RawClient> view(const std::string& target, int receive_bytes = 0) const {
    auto client = std::make_unique<RawClient>(server_->port(), receive_bytes);
    client->send("GET " + target + " HTTP/1.0\r\nHost: localhost\r\n\r\n");
    return client;
  }
  static std::vector<int64_t> watched(RawClient& viewer) {
    const std::string body = body_of(viewer.receive_all());
    EXPECT_EQ(body.substr(0, 4), "init");
    return segments_of(body.substr(4));
  }
  static void wait_until(const std::function<bool()>& condition) {
    for (int i = 0; i < 3000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_TRUE(condition());
  }
  int64_t viewers() { return streams_.counts().streams; }

  TemporaryFolder folder_;
  std::shared_ptr<VideoStream> stream_ = std::make_shared<VideoStream>(folder_.path(), 16);
  VideoStreams streams_;
  std::optional<HttpServer> server_;
};

TEST_F(VideoStreamTest, ViewersStartAtTheNewestOrTheFirstSegment) {
  serve();
  append(0, 5);
  const auto newest = view("/stream.mp4"), first = view("/v1/videos/video/stream.mp4?from=start");
  wait_until([&] { return streams_.counts().segments_sent == 6; });
  append(5, 8);
  stream_->finish();
  EXPECT_EQ(watched(*newest), numbers(4, 8));
  EXPECT_EQ(watched(*first), numbers(0, 8));
  wait_until([&] { return viewers() == 0; });
  EXPECT_EQ(status_of(exchange(server_->port(), get_request("/v1/videos/other/stream.mp4"))), 404);
  EXPECT_EQ(status_of(exchange(server_->port(), get_request("/stream.mp4?from=middle"))), 400);
}

TEST_F(VideoStreamTest, PlaylistsAskForTheFirstSegmentWhenAsked) {
  serve();
  append(0, 5);
  const auto list = [&](const std::string& target) { return exchange(server_->port(), get_request(target)); };
  for (const std::string target : {"/hls/live.m3u8", "/hls/video/live.m3u8"}) {
    EXPECT_THAT(list(target), Not(HasSubstr("#EXT-X-START")));
    EXPECT_THAT(list(target + "?from=start"), HasSubstr("#EXT-X-START:TIME-OFFSET=0\n"));
    EXPECT_EQ(status_of(list(target + "?from=middle")), 400);
  }
}

TEST_F(VideoStreamTest, ViewerWaitsForTheStreamOfAVideoThatIsComing) {
  VideoCatalog catalog(nullptr, /*most_queued=*/2);
  const std::string id = catalog.add({.model = "small", .prompt = "a hill", .fps = 16, .frames = 32}).video.id;
  server_.emplace(HttpServerOptions{.port = 0});
  add_stream_routes(*server_, streams_, &catalog);
  server_->start();
  const auto any = view("/stream.mp4?from=start"), this_one = view("/v1/videos/" + id + "/stream.mp4?from=start");
  const auto list = view("/hls/live.m3u8");
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_EQ(viewers(), 0) << "no answer yet";
  stream_->begin("init");
  streams_.set_current(id, stream_);
  append(0, 2);
  EXPECT_THAT(list->receive_all(), HasSubstr(id + "/init.mp4"));
  wait_until([&] { return viewers() == 2; });
  stream_->finish();
  EXPECT_EQ(watched(*any), numbers(0, 2));
  EXPECT_EQ(watched(*this_one), numbers(0, 2));
  catalog.cancel(id);
  EXPECT_EQ(status_of(exchange(server_->port(), get_request("/stream.mp4"))), 200) << "the last one";
  streams_.remove(id);
  EXPECT_EQ(status_of(exchange(server_->port(), get_request("/stream.mp4"))), 404) << "nothing is coming";

  const std::string next = catalog.add({.model = "small", .prompt = "a lake"}).video.id;
  const auto late = view("/stream.mp4");
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  server_->stop();
  EXPECT_EQ(late->receive_all().find("200 OK"), std::string::npos) << "and the server has not waited for it";
}

TEST_F(VideoStreamTest, StreamContinuesForAVideoThatIsTriedAgain) {
  serve();
  append(0, 2);
  EXPECT_EQ(streams_.continued("video"), stream_);
  EXPECT_EQ(streams_.continued("other"), nullptr);
  const auto viewer = view("/stream.mp4?from=start");
  wait_until([&] { return streams_.counts().segments_sent == 2; });
  streams_.set_current("other", std::make_shared<VideoStream>(folder_.path(), 16));
  EXPECT_EQ(watched(*viewer), numbers(0, 2)) << "the stream before it has ended";
  EXPECT_EQ(streams_.continued("video"), nullptr);
}

TEST_F(VideoStreamTest, PlaylistsCarryTheSignatureTheyWereAskedWith) {
  serve();
  append(0, 1);
  const std::string query = "?expires=1796060000&signature=0123456789abcdef0123456789abcdef";
  const std::string list = exchange(server_->port(), get_request("/hls/video/live.m3u8" + query));
  EXPECT_THAT(list, HasSubstr("URI=\"init.mp4" + query + "\""));
  EXPECT_THAT(list, HasSubstr("\n000000.m4s" + query + "\n"));
  EXPECT_THAT(exchange(server_->port(), get_request("/hls/video/live.m3u8?expires=1&signature=%0a#x")),
              Not(HasSubstr("signature")));
}

TEST_F(VideoStreamTest, ViewerWaitsForTheFirstSegment) {
  serve();
  const auto early = view("/stream.mp4");
  wait_until([&] { return viewers() == 1; });
  append(0, 2);
  stream_->finish();
  const std::vector<int64_t> got = watched(*early);
  ASSERT_FALSE(got.empty());
  EXPECT_EQ(got.back(), 1);
}

TEST_F(VideoStreamTest, SlowViewerSkipsToTheNewestSegment) {
  serve();
  append(0, 1);
  const auto slow = view("/stream.mp4", kFewBytes);
  wait_until([&] { return viewers() == 1; });
  append(1, kSegments);  // returns although the viewer reads nothing: the render never waits
  stream_->finish();
  const std::vector<int64_t> got = watched(*slow);
  ASSERT_GE(got.size(), 2u);
  const auto sent = static_cast<int64_t>(got.size());
  EXPECT_EQ(got.back(), kSegments - 1) << "it ends with the video";
  EXPECT_TRUE(std::is_sorted(got.begin(), got.end(), std::less_equal<>())) << "forward, over whole segments";
  EXPECT_LT(sent, kSegments - StreamCursor::kMostBehind);
  EXPECT_EQ(streams_.counts().segments_skipped, kSegments - sent);
  EXPECT_EQ(streams_.counts().segments_sent, sent);
}

TEST_F(VideoStreamTest, SlowViewerFromTheStartReceivesEverything) {
  serve();
  append(0, 1);
  const auto slow = view("/stream.mp4?from=start", kFewBytes);
  wait_until([&] { return viewers() == 1; });
  append(1, kSegments);
  stream_->finish();
  EXPECT_EQ(watched(*slow), numbers(0, kSegments));
  EXPECT_EQ(streams_.counts().segments_skipped, 0);
}

TEST_F(VideoStreamTest, ViewerThatStopsReadingIsDisconnected) {
  serve({.write = std::chrono::milliseconds(1000)});
  append(0, kSegments);
  const auto stopped = view("/stream.mp4?from=start", kFewBytes), well = view("/stream.mp4?from=start");
  wait_until([&] { return viewers() == 2 || streams_.counts().segments_sent > 0; });
  std::jthread reader([&] { EXPECT_EQ(watched(*well), numbers(0, kSegments)); });
  stream_->finish();
  wait_until([&] { return viewers() == 0; });
  EXPECT_LT(streams_.counts().segments_sent, 2 * kSegments) << "the stopped viewer did not receive everything";
}

TEST_F(VideoStreamTest, DisconnectIsDetectedWithoutANewSegment) {
  serve();
  append(0, 1);
  {
    const auto gone = view("/stream.mp4");
    wait_until([&] { return streams_.counts().segments_sent == 1; });
  }
  wait_until([&] { return viewers() == 0; });
  wait_until([&] { return server_->counts().connections == 0; });
}

TEST_F(VideoStreamTest, StreamOfADeletedVideoLivesAsLongAsItsViewers) {
  serve();
  append(0, 3);
  const auto viewer = view("/stream.mp4?from=start");
  wait_until([&] { return streams_.counts().segments_sent == 3; });
  streams_.remove("video");
  EXPECT_EQ(status_of(exchange(server_->port(), get_request("/stream.mp4"))), 404);
  append(3, 4);
  stream_->finish();
  EXPECT_EQ(watched(*viewer), numbers(0, 4));
}

TEST_F(VideoStreamTest, LeavesNoFileBehind) {
  append(0, 1);
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
  EXPECT_THROW(VideoStream(folder_.path() / "missing", 16), MediaError);
}

TEST(StreamCursor, SkipsOnlyBeyondTheLargestLag) {
  constexpr int64_t kMost = StreamCursor::kMostBehind;
  StreamCursor cursor(StreamCursor::Start::kNewest);
  EXPECT_EQ(cursor.next({.segments = 0}), -1);
  EXPECT_EQ(cursor.next({.segments = 3}), 2);
  cursor.sent();
  EXPECT_EQ(cursor.next({.segments = 3}), -1);
  EXPECT_EQ(cursor.next({.segments = 3 + kMost + 1}), 3) << "the largest lag that is allowed";
  EXPECT_EQ(cursor.skipped(), 0);
  EXPECT_EQ(cursor.next({.segments = 3 + kMost + 2}), 3 + kMost + 1);
  EXPECT_EQ(cursor.skipped(), kMost + 1);
}

TEST(HlsPlaylist, ListsAllSegments) {
  const std::vector<VideoStream::Segment> segments = {{.first_frame = 0, .frames = 9},
                                                      {.first_frame = 9, .frames = 12}};
  const std::string head =
      "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:EVENT\n"
      "#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI=\"video/init.mp4\"\n";
  const std::string list = "#EXTINF:0.562500,\nvideo/000000.m4s\n#EXTINF:0.750000,\nvideo/000001.m4s\n";
  EXPECT_EQ(hls_playlist(segments, 16, "video/", kNewest, /*ended=*/false), head + list);
  EXPECT_EQ(hls_playlist(segments, 16, "video/", kNewest, /*ended=*/true), head + list + "#EXT-X-ENDLIST\n");
  EXPECT_EQ(hls_playlist({}, 16, "video/", kNewest, /*ended=*/false), head);
  EXPECT_THAT(hls_playlist({{.frames = 24}}, 16, "", kNewest, /*ended=*/false), HasSubstr("#EXT-X-TARGETDURATION:2\n"))
      << "1.5 s, to the nearest second";
}

TEST(HlsPlaylist, AsksForTheFirstSegmentWhileMoreWillCome) {
  const std::string start = "#EXT-X-START:TIME-OFFSET=0\n";
  EXPECT_THAT(hls_playlist({{.frames = 9}}, 16, "", kFirst, /*ended=*/false),
              HasSubstr("SEGMENTS\n" + start + "#EXT-X-MAP"));
  EXPECT_THAT(hls_playlist({{.frames = 9}}, 16, "", kNewest, /*ended=*/false), Not(HasSubstr(start)));
  EXPECT_THAT(hls_playlist({{.frames = 9}}, 16, "", kFirst, /*ended=*/true), Not(HasSubstr(start)))
      << "players of a finished video start at its beginning";
}

TEST(HlsPlaylist, ParsesSegmentNames) {
  EXPECT_EQ(hls_segment_index("000000"), 0);
  EXPECT_EQ(hls_segment_index("1234567"), 1'234'567);
  for (const char* other : {"", "0", "00000a", "-00001", "9999999999999", "init"}) {
    EXPECT_EQ(hls_segment_index(other), -1) << other;
  }
}

}  // namespace
}  // namespace flashblock
