// `flashblock serve` as a process: stopped during a render, which it resumes after a restart; with several devices.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <functional>
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

/// The server as a process on a folder of videos.
class ServerProcess {
 public:
  ServerProcess(const TemporaryFolder& folder, const std::string& name, const std::string& device = "cpu")
      : program_({"serve", "127.0.0.1:0", "--data", folder / "videos", "--model", folder / "model", "--device", device},
                 folder / (name + ".err"), folder / (name + ".out")),
        port_(printed_port(folder / (name + ".out"))) {}

  Json get(const std::string& target) const {
    return Json::parse(body_of(testing::exchange(port_, get_request(target))));
  }
  Json post(const std::string& target, const Json& body) const {
    return Json::parse(body_of(testing::exchange(port_, post_request(target, body.dump()))));
  }
  Json wait_for(const std::string& id, const std::function<bool(const Json&)>& fits) const {
    for (;; std::this_thread::sleep_for(std::chrono::milliseconds(20))) {
      const Json video = get("/v1/videos/" + id);
      if (fits(video) || video.at("status") == "failed") return video;
    }
  }
  pid_t process() const { return program_.process(); }
  int end(int signal) {
    program_.signal(signal);
    return program_.wait();
  }

 private:
  StartedProgram program_;
  int port_;
};

/// How a server is stopped, and its exit status.
struct End {
  int signal;
  int status;
};

class ServeRestart : public ::testing::TestWithParam<End> {
 protected:
  void SetUp() override { write_prompted_model(folder_ / "model"); }
  std::filesystem::path video(const std::string& id) const { return folder_ / "videos" / id / "content.mp4"; }

  TemporaryFolder folder_;
};

TEST_P(ServeRestart, ResumesASteeredVideoAndItsQueue) {
  std::string id, next, last;
  Json change;
  {
    ServerProcess server(folder_, "first");
    id = server.post("/v1/videos", {{"prompt", "a red hill"}, {"seconds", 30}, {"seed", 7}}).at("id");
    next = server.post("/v1/videos", {{"prompt", "a lake"}, {"seconds", 1}, {"seed", 1}}).at("id");
    last = server.post("/v1/videos", {{"prompt", "a boat"}, {"seconds", 1}, {"seed", 2}}).at("id");
    server.wait_for(id, [](const Json& video) { return video.at("block") >= 2; });
    server.post("/v1/videos/" + id + "/prompt", {{"prompt", "a blue lake at night"}});
    const Json video = server.wait_for(id, [](const Json& now) { return !now.at("timeline").empty(); });
    change = video.at("timeline").at(0);
    const int64_t block = change.at("block");
    server.wait_for(id, [&](const Json& now) { return now.at("block") > block; });
    EXPECT_EQ(server.end(GetParam().signal), GetParam().status);
  }
  ASSERT_FALSE(std::filesystem::exists(video(id))) << "the video was finished before the server was stopped";

  ServerProcess server(folder_, "second");
  EXPECT_LE(server.get("/v1/videos/" + id).at("queue_position"), 1) << "the running video is resumed first";
  const Json last_video = server.wait_for(last, [](const Json& now) { return now.at("status") == "completed"; });
  EXPECT_EQ(last_video.at("status"), "completed");
  EXPECT_EQ(server.get("/v1/videos/" + next).at("status"), "completed");
  const Json done = server.get("/v1/videos/" + id);
  EXPECT_EQ(done.at("status"), "completed");
  EXPECT_EQ(done.at("timeline"), Json::array({change}));
  EXPECT_EQ(server.end(SIGTERM), 0);
  EXPECT_GT(read_json(folder_ / "videos" / id / "content.json").at("video").at("resumed_frame_blocks"), 0);

  const std::string at = std::to_string(change.at("at").get<double>());
  const ProgramRun again =
      run_program({"render", "a red hill", "--model", folder_ / "model", "--device", "cpu", "--seconds", "30", "--seed",
                   "7", "--prompt-at", at + "=a blue lake at night", "--output", folder_ / "again.mp4", "--quiet"});
  ASSERT_EQ(again.status, 0) << again.err;
  EXPECT_TENSORS_IDENTICAL(read_video(video(id)), read_video(folder_ / "again.mp4"));
}

INSTANTIATE_TEST_SUITE_P(Ends, ServeRestart, ::testing::Values(End{SIGKILL, 128 + SIGKILL}, End{SIGTERM, 0}),
                         [](const auto& end) { return end.param.signal == SIGKILL ? "Killed" : "Ended"; });

TEST(ServeSeveralDevices, ContinuesAfterALostProcess) {
  const TemporaryFolder folder;
  write_prompted_model(folder / "model");
  ServerProcess server(folder, "server", "cpu:0,1");
  const std::string id = server.post("/v1/videos", {{"prompt", "a red hill"}, {"seconds", 20}, {"seed", 7}}).at("id");
  const std::string next = server.post("/v1/videos", {{"prompt", "a lake"}, {"seconds", 1}, {"seed", 8}}).at("id");
  server.wait_for(id, [](const Json& video) { return video.at("block") >= 2; });
  const std::vector<pid_t> children = children_of(server.process());
  ASSERT_EQ(children.size(), 1U);
  kill(children.front(), SIGKILL);
  const Json waits = server.wait_for(id, [](const Json& video) { return !video.at("waiting_for").is_null(); });
  EXPECT_EQ(waits.at("status"), "in_progress");
  EXPECT_EQ(waits.at("waiting_for").at("code"), "device_error");
  EXPECT_EQ(server.get("/healthz").at("code"), "device_error");
  EXPECT_EQ(server.get("/v1/videos/" + next).at("status"), "queued");
  const auto completed = [](const Json& video) { return video.at("status") == "completed"; };
  for (const std::string& video : {id, next}) EXPECT_TRUE(completed(server.wait_for(video, completed)));
  EXPECT_EQ(server.get("/healthz").at("status"), "ok");
  EXPECT_GT(read_json(folder / "videos" / id / "content.json").at("video").at("resumed_frame_blocks"), 0);
  EXPECT_EQ(server.end(SIGTERM), 0);
}

TEST(ServeSeveralDevices, GivesTheVideosOfARender) {
  const TemporaryFolder folder;
  write_prompted_model(folder / "model");
  std::string first, second;
  {
    ServerProcess server(folder, "server", "cpu:0,1");
    first = server.post("/v1/videos", {{"prompt", "a red hill"}, {"seconds", 1}, {"seed", 7}}).at("id");
    second = server.post("/v1/videos", {{"prompt", "a lake"}, {"seconds", 2}, {"seed", 8}}).at("id");
    const auto completed = [](const Json& video) { return video.at("status") == "completed"; };
    for (const std::string& id : {first, second}) EXPECT_TRUE(completed(server.wait_for(id, completed)));
    EXPECT_EQ(server.end(SIGTERM), 0);
  }
  // The second video is computed by processes that have computed another one.
  StartedProgram render({"render", "a lake", "--model", folder / "model", "--device", "cpu:0,1", "--seconds", "2",
                         "--seed", "8", "--output", folder / "alone.mp4", "--quiet"},
                        folder / "render.err");
  ASSERT_EQ(render.wait(), 0);
  EXPECT_TENSORS_IDENTICAL(read_video(folder / "videos" / second / "content.mp4"), read_video(folder / "alone.mp4"));
}

}  // namespace
}  // namespace flashblock
