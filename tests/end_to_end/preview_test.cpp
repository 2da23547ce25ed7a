// `render --preview`: one video, watched and prompted while the command renders it, and how the command ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <thread>

#include "media/video_reader.h"
#include "tests/end_to_end/program_run.h"
#include "tests/support/raw_client.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensor_matchers.h"

namespace flashblock {
namespace {

using namespace testing;
using Json = nlohmann::json;

class RenderPreview : public ::testing::Test {
 protected:
  void SetUp() override { write_prompted_model(folder_ / "model"); }

  std::unique_ptr<StartedProgram> start(const std::string& seconds) {
    auto program = std::make_unique<StartedProgram>(
        std::vector<std::string>{"render", "a red hill", "--model", folder_ / "model", "--device", "cpu", "--seconds",
                                 seconds, "--seed", "7", "--output", file(), "--preview", "127.0.0.1:0"},
        folder_ / "err");
    port_ = printed_port(folder_ / "err");
    return program;
  }
  std::string file() const { return folder_ / "video.mp4"; }
  Json get(const std::string& target) const {
    return Json::parse(body_of(testing::exchange(port_, get_request(target))));
  }
  Json video() const { return get("/v1/videos").at("data").at(0); }
  Json wait_for_block(int64_t block) const {
    for (;; std::this_thread::sleep_for(std::chrono::milliseconds(5))) {
      const Json now = video();
      if (now.at("live") && now.at("block") >= block) return now;
    }
  }

  TemporaryFolder folder_;
  int port_ = 0;
};

TEST_F(RenderPreview, EndsByItselfWhenNobodyWatches) {
  EXPECT_EQ(start("1")->wait(), 0);
  EXPECT_EQ(read_video(file()).size(0), 16);
}

TEST_F(RenderPreview, ViewerGetsTheWholeVideoBeforeTheCommandEnds) {
  const auto program = start("10");
  wait_for_block(1);
  RawClient viewer(port_);
  viewer.send(get_request("/stream.mp4?from=start", "Connection: close\r\n"));
  const std::string page = testing::exchange(port_, get_request("/"));
  EXPECT_EQ(status_of(page), 200);
  EXPECT_EQ(get("/v1/models").at("mode"), "preview");
  std::ofstream(folder_ / "seen.mp4", std::ios::binary) << unchunked(viewer.receive_all());
  EXPECT_EQ(program->wait(), 0);
  EXPECT_EQ(read_video(file()).size(0), 160);
  EXPECT_TENSORS_IDENTICAL(read_video(folder_ / "seen.mp4"), read_video(file()));
}

TEST_F(RenderPreview, TakesPromptsAndNothingElse) {
  const auto program = start("20");
  const std::string id = wait_for_block(1).at("id");
  const auto post = [&](const std::string& target, const Json& body) {
    return testing::exchange(port_, post_request(target, body.dump()));
  };
  EXPECT_EQ(status_of(post("/v1/videos/" + id + "/prompt", {{"prompt", "a blue lake at night"}})), 200);
  EXPECT_EQ(status_of(post("/v1/videos", {{"prompt", "another video"}})), 409);
  EXPECT_EQ(status_of(post("/v1/videos/" + id + "/cancel", Json::object())), 409);
  EXPECT_EQ(status_of(testing::exchange(port_, "DELETE /v1/videos/" + id + " HTTP/1.1\r\nHost: localhost\r\n\r\n")),
            409);
  EXPECT_EQ(status_of(testing::exchange(port_, get_request("/v1/videos/" + id + "/content"))), 409);
  RawClient viewer(port_);  // whom the command waits for
  viewer.send(get_request("/stream.mp4", "Connection: close\r\n"));
  viewer.receive_all();
  while (video().at("status") != "completed") std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const std::string content = body_of(testing::exchange(port_, get_request("/v1/videos/" + id + "/content")));
  EXPECT_EQ(status_of(testing::exchange(port_, get_request("/v1/videos/" + id + "/content?variant=thumbnail"))), 404);
  EXPECT_EQ(program->wait(), 0);
  EXPECT_EQ(content, read_text(file())) << "the finished video";
  const Json sidecar_json = read_json(folder_ / "video.json");
  EXPECT_EQ(sidecar_json.at("configuration").at("timeline").at(0).at("prompt"), "a blue lake at night");
}

TEST_F(RenderPreview, EndsWhenItIsInterruptedWithViewers) {
  const auto program = start("600");
  wait_for_block(1);
  RawClient viewer(port_), idle(port_);
  viewer.send(get_request("/stream.mp4", "Connection: close\r\n"));
  EXPECT_NE(viewer.receive(), "");
  program->signal(SIGTERM);
  EXPECT_EQ(program->wait(), 128 + SIGTERM);
  EXPECT_THAT(read_text(folder_ / "err"), ::testing::HasSubstr("--resume"));
  viewer.receive_all();  // the connection has ended
}

}  // namespace
}  // namespace flashblock
