// `flashblock serve` with a small model, seen by clients.
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <latch>
#include <thread>

#include "media/video_reader.h"
#include "pipeline/render_line.h"
#include "tests/end_to_end/program_run.h"
#include "tests/end_to_end/serve_process.h"
#include "tests/support/temporary_folder.h"

namespace flashblock {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using Json = nlohmann::json;

class Serve : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = new TemporaryFolder;
    write_prompted_model(*shared_ / "model");
  }
  static void TearDownTestSuite() { delete shared_; }

  std::unique_ptr<ServeProcess> start(const std::string& videos) const {
    return std::make_unique<ServeProcess>(*shared_ / "model", folder_ / videos, ServeProcess::Rendering::kOn);
  }
  at::Tensor frames(const std::string& bytes) const {
    std::ofstream(folder_ / "received.mp4", std::ios::binary) << bytes;
    return read_video(folder_ / "received.mp4");
  }
  std::filesystem::path video(const std::string& videos, const std::string& id) const {
    return folder_ / videos / id / "content.mp4";
  }

  static TemporaryFolder* shared_;
  TemporaryFolder folder_;
};

TemporaryFolder* Serve::shared_ = nullptr;

TEST_F(Serve, RendersStreamsAndStoresAVideo) {
  const auto server = start("videos");
  const Json ordered = server->post("/v1/videos", testing::kShortVideo);
  const std::string id = ordered.at("id");
  EXPECT_EQ(ordered.at("frames"), 32);
  server->wait_for(id, [](const Video& video) { return video.progress.live; });
  RawClient viewer(server->port());
  viewer.send(get_request("/stream.mp4?from=start", "Connection: close\r\n"));
  const std::string stream = viewer.receive_all();
  EXPECT_THAT(stream, HasSubstr("Content-Type: video/mp4; codecs=\"avc1."));
  EXPECT_EQ(server->wait_for_end(id).status, VideoStatus::kCompleted);

  const at::Tensor kept = read_video(video("videos", id));
  EXPECT_EQ(kept.size(0), 32);
  EXPECT_TRUE(at::equal(frames(unchunked(stream)), kept));
  EXPECT_TRUE(at::equal(frames(body_of(server->ask(get_request("/v1/videos/" + id + "/content")))), kept));
  const Json video = server->get("/v1/videos/" + id);
  EXPECT_EQ(video.at("status"), "completed");
  EXPECT_EQ(video.at("progress"), 100);
  EXPECT_EQ(body_of(server->ask(get_request("/v1/videos/" + id + "/content?variant=thumbnail"))).substr(0, 2),
            "\xff\xd8");
  const std::string part = server->ask(get_request("/v1/videos/" + id + "/content", "Range: bytes=4-7\r\n"));
  EXPECT_EQ(status_of(part), 206);
  EXPECT_EQ(body_of(part), "ftyp");
  EXPECT_EQ(status_of(server->ask(get_request("/v1/videos/" + id + "/content", "Range: bytes=999999999-\r\n"))), 416);

  // HLS: the segments of the playlist are the video, from the start and from any other segment.
  const std::string playlist = body_of(server->ask(get_request("/hls/live.m3u8")));
  EXPECT_THAT(playlist, HasSubstr("#EXT-X-ENDLIST"));
  const std::string init = body_of(server->ask(get_request("/hls/" + id + "/init.mp4")));
  std::vector<std::string> segments;
  for (size_t at = 0; (at = playlist.find(id + "/0", at)) != playlist.npos; ++at) {
    const std::string name = playlist.substr(at, playlist.find('\n', at) - at);
    segments.push_back(body_of(server->ask(get_request("/hls/" + name))));
  }
  ASSERT_EQ(segments.size(), 3u);
  EXPECT_TRUE(at::equal(frames(init + segments[0] + segments[1] + segments[2]), kept));
  EXPECT_TRUE(at::equal(frames(init + segments[1] + segments[2]), kept.narrow(0, 9, 23)));
  EXPECT_EQ(status_of(server->ask(get_request("/hls/" + id + "/000003.m4s"))), 404);
}

TEST_F(Serve, ResumesAfterARestart) {
  const Json order = {{"prompt", "a red hill"}, {"seconds", 40}, {"seed", 7}};
  std::string id;
  {
    const auto server = start("videos");
    id = server->post("/v1/videos", order).at("id");
    server->post("/v1/videos", testing::kShortVideo);  // waits
    server->wait_for(id, [](const Video& video) { return video.progress.block >= 2 || is_final(video.status); });
  }
  const Json stored = read_json(folder_ / "videos" / id / "video.json");
  ASSERT_EQ(stored.at("status"), "in_progress") << "the video was finished before the server ended";
  const auto again = start("videos");
  ASSERT_EQ(again->wait_for_end(id).status, VideoStatus::kCompleted);
  EXPECT_EQ(again->get("/v1/videos").at("data").size(), 2u);

  const auto other = start("others");
  const std::string reference = other->post("/v1/videos", order).at("id");
  ASSERT_EQ(other->wait_for_end(reference).status, VideoStatus::kCompleted);
  EXPECT_TRUE(at::equal(read_video(video("videos", id)), read_video(video("others", reference))));
}

TEST_F(Serve, ThreadsOfOtherWorkInTheProcessDoNotMatter) {
  const Json order = {{"prompt", "a red hill"}, {"seconds", 8}, {"seed", 7}};
  const auto rendered = [&](const std::string& folder) {
    const auto server = start(folder);
    const std::string id = server->post("/v1/videos", order).at("id");
    EXPECT_EQ(server->wait_for_end(id).status, VideoStatus::kCompleted);
    return read_video(video(folder, id));
  };
  const at::Tensor reference = rendered("videos");
  std::latch limited(1), done(1);
  std::jthread other([&] {
    const ThreadLimit one(1);  // which LibTorch gives to new threads, too
    limited.count_down();
    done.wait();
  });
  limited.wait();
  EXPECT_TRUE(at::equal(rendered("others"), reference));
  done.count_down();
}

TEST_F(Serve, CancelsStoresAndDeletesVideos) {
  auto server = start("videos");
  const std::string id = server->post("/v1/videos", {{"prompt", "a red hill"}, {"seconds", 40}}).at("id");
  server->wait_for(id, [](const Video& video) { return video.progress.block >= 1; });
  server->ask(post_request("/v1/videos/" + id + "/cancel", ""));
  const Video stopped = server->wait_for_end(id);
  ASSERT_EQ(stopped.status, VideoStatus::kCancelled);
  EXPECT_EQ(read_video(video("videos", id)).size(0), stopped.frames);
  EXPECT_LT(stopped.frames, 640);

  const auto reported = [&] {
    Json video = server->get("/v1/videos/" + id);
    for (const char* passing : {"live", "eta_seconds"}) video.erase(passing);
    return video;
  };
  const Json before = reported();
  server.reset();
  server = start("videos");
  EXPECT_EQ(reported(), before) << "with its progress";
  EXPECT_GT(before.at("frames_written"), 0);
  EXPECT_EQ(status_of(server->ask(get_request("/v1/videos/" + id + "/content"))), 200);
  EXPECT_EQ(status_of(server->ask("DELETE /v1/videos/" + id + " HTTP/1.1\r\nHost: localhost\r\n\r\n")), 200);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "videos" / id));
  EXPECT_EQ(status_of(server->ask(get_request("/v1/videos/" + id))), 404);
}

TEST_F(Serve, FailedVideoNamesNoFileOfTheServer) {
  write_prompted_model(folder_ / "model");
  ServeProcess server(folder_ / "model", folder_ / "videos", ServeProcess::Rendering::kOn);
  std::filesystem::remove(folder_ / "model" / "umt5.safetensors");
  const std::string id = server.post("/v1/videos", testing::kShortVideo).at("id");
  ASSERT_EQ(server.wait_for_end(id).status, VideoStatus::kFailed);
  const Json error = server.get("/v1/videos/" + id).at("error");
  EXPECT_EQ(error.at("code"), "model_error");
  EXPECT_FALSE(error.at("message").get<std::string>().empty());
  for (const std::string& target : {"/v1/videos/" + id, std::string("/v1/videos")}) {
    const std::string body = body_of(server.ask(get_request(target)));
    for (const std::string& internal : {folder_.path().string(), std::string("umt5"), std::string("--")}) {
      EXPECT_EQ(body.find(internal), body.npos) << internal << " in " << body;
    }
  }
}

}  // namespace
}  // namespace flashblock
