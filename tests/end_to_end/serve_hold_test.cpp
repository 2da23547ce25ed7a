// `flashblock serve` where the disk fills up in the middle of a video: what is finished stays, the queue waits, and all
// continues once there is space.
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "media/video_reader.h"
#include "tests/end_to_end/program_run.h"
#include "tests/end_to_end/serve_process.h"
#include "tests/support/small_disk.h"
#include "tests/support/temporary_folder.h"

namespace flashblock {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

const Json kLongVideo = {{"prompt", "a red hill"}, {"seconds", 40}, {"seed", 7}};

class ServeHold : public ::testing::Test {
 protected:
  void SetUp() override {
    FLASHBLOCK_NEED_DISK(disk_);
    write_prompted_model(folder_ / "model");
    server_ = start();
  }

  std::unique_ptr<ServeProcess> start() const {
    return std::make_unique<ServeProcess>(folder_ / "model", disk_ / "videos", ServeProcess::Rendering::kOn);
  }
  Video wait_for_hold(const std::string& id) const {
    return server_->wait_for(id, [](const Video& video) { return video.progress.hold || is_final(video.status); });
  }
  int64_t frames_of_content(const std::string& id) const {
    const std::string answer = server_->ask(get_request("/v1/videos/" + id + "/content"));
    EXPECT_EQ(status_of(answer), 200);
    std::ofstream(folder_ / "received.mp4", std::ios::binary) << body_of(answer);
    return read_video(folder_ / "received.mp4").size(0);
  }
  void expect_waiting(const std::string& id, const std::string& next) const {
    const Json video = server_->get("/v1/videos/" + id);
    EXPECT_EQ(video.at("status"), "in_progress");
    EXPECT_EQ(video.at("waiting_for").at("code"), "disk_full");
    EXPECT_THAT(video.at("waiting_for").at("message").get<std::string>(), Not(HasSubstr("/")));
    EXPECT_TRUE(video.at("eta_seconds").is_null());
    EXPECT_EQ(server_->get("/v1/videos/" + next).at("status"), "queued");
    EXPECT_EQ(server_->get("/healthz").at("status"), "waiting");
    EXPECT_THAT(body_of(server_->ask(get_request("/metrics"))), HasSubstr("flashblock_waiting 1\n"));
    EXPECT_EQ(frames_of_content(id), video.at("frames_written").get<int64_t>()) << "what there is can be watched";
  }

  TemporaryFolder folder_;
  SmallDisk disk_{int64_t{8} << 20};
  std::unique_ptr<ServeProcess> server_;
};

TEST_F(ServeHold, VideoContinuesOnceThereIsSpace) {
  const std::string id = server_->post("/v1/videos", kLongVideo).at("id");
  const std::string next = server_->post("/v1/videos", testing::kShortVideo).at("id");
  server_->wait_for(id, [](const Video& video) { return video.progress.block >= 2; });
  RawClient viewer(server_->port());
  viewer.send(get_request("/v1/videos/" + id + "/stream.mp4?from=start", "Connection: close\r\n"));
  disk_.fill();
  ASSERT_FALSE(is_final(wait_for_hold(id).status));
  expect_waiting(id, next);

  const Json refused = server_->post("/v1/videos", testing::kShortVideo).at("error");
  EXPECT_EQ(refused.at("code"), "disk_full");
  EXPECT_THAT(refused.at("message").get<std::string>(), Not(HasSubstr("/")));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(disk_ / "videos"), {}), 2) << "nothing is left of it";

  disk_.make_room();
  ASSERT_EQ(server_->wait_for_end(id).status, VideoStatus::kCompleted);
  EXPECT_EQ(server_->wait_for_end(next).status, VideoStatus::kCompleted);
  EXPECT_EQ(server_->get("/healthz").at("status"), "ok");
  EXPECT_EQ(frames_of_content(id), 640);
  std::ofstream(folder_ / "stream.mp4", std::ios::binary) << unchunked(viewer.receive_all());
  EXPECT_TRUE(at::equal(read_video(folder_ / "stream.mp4"), read_video(disk_ / ("videos/" + id + "/content.mp4"))))
      << "a viewer that was there before sees all of it";
}

TEST_F(ServeHold, NextServerWaitsToo) {
  const std::string id = server_->post("/v1/videos", kLongVideo).at("id");
  const std::string next = server_->post("/v1/videos", testing::kShortVideo).at("id");
  server_->wait_for(id, [](const Video& video) { return video.progress.block >= 2; });
  disk_.fill();
  ASSERT_FALSE(is_final(wait_for_hold(id).status));
  const int64_t frames = server_->get("/v1/videos/" + id).at("frames_written");
  server_.reset();
  server_ = start();
  EXPECT_EQ(server_->get("/v1/videos/" + id).at("status"), "in_progress") << "as it was told";
  ASSERT_FALSE(is_final(wait_for_hold(id).status));
  expect_waiting(id, next);
  EXPECT_EQ(server_->get("/v1/videos/" + id).at("frames_written"), frames);

  // Cancelled, it becomes a video of what there is, once there is space.
  server_->ask(post_request("/v1/videos/" + id + "/cancel", ""));
  EXPECT_EQ(server_->get("/v1/videos/" + id).at("status"), "in_progress");
  disk_.make_room();
  ASSERT_EQ(server_->wait_for_end(id).status, VideoStatus::kCancelled);
  EXPECT_GE(frames_of_content(id), frames);
  EXPECT_EQ(server_->wait_for_end(next).status, VideoStatus::kCompleted);
}

TEST_F(ServeHold, QueuedVideoWaitsWhereItCannotEvenBegin) {
  const std::string id = server_->post("/v1/videos", kLongVideo).at("id");
  const std::string next = server_->post("/v1/videos", testing::kShortVideo).at("id");
  server_->wait_for(id, [](const Video& video) { return video.progress.block >= 1; });
  disk_.fill();
  ASSERT_FALSE(is_final(wait_for_hold(id).status));
  server_->ask("DELETE /v1/videos/" + id + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
  disk_.fill();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_NE(server_->get("/v1/videos/" + next).at("status"), "failed");
  disk_.make_room();
  EXPECT_EQ(server_->wait_for_end(next).status, VideoStatus::kCompleted);
}

}  // namespace
}  // namespace flashblock
