// Served videos in ffmpeg: decoded without errors from any point at which a player joins.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <thread>

#include "tests/end_to_end/program_run.h"
#include "tests/end_to_end/serve_process.h"
#include "tests/support/temporary_folder.h"

namespace flashblock {
namespace {

using namespace testing;
using Json = nlohmann::json;

/// The checksums of a video's frames, one each.
using Frames = std::vector<std::string>;

class Players : public ::testing::Test {
 protected:
  void SetUp() override {
    if (run_command("command -v ffmpeg").status != 0) GTEST_SKIP() << "ffmpeg is not installed";
    write_prompted_model(folder_ / "model");
    server_ = std::make_unique<ServeProcess>(folder_ / "model", folder_ / "videos", ServeProcess::Rendering::kOn);
  }

  /// Decodes what `input`, options of ffmpeg, names. Any message of ffmpeg's is a failure.
  static Frames decoded(const std::string& input) {
    const ProgramRun run =
        run_command("timeout -s KILL 100 ffmpeg -nostdin -v error -xerror " + input + " -map 0:v -f framemd5 -");
    EXPECT_EQ(run.status, 0) << input;
    EXPECT_EQ(run.err, "") << input;
    Frames frames;
    std::istringstream lines(run.out);
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with('#')) frames.push_back(line.substr(line.rfind(',') + 1));
    }
    return frames;
  }
  Frames decoded_bytes(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return decoded("-i " + (folder_ / name).string());
  }

  std::string start_video(double seconds) const {
    return server_->post("/v1/videos", {{"prompt", "a red hill"}, {"seconds", seconds}, {"seed", 7}}).at("id");
  }
  Frames finished(const std::string& id) const {
    EXPECT_EQ(server_->wait_for_end(id).status, VideoStatus::kCompleted);
    return decoded("-i " + (folder_ / "videos" / id / "content.mp4").string());
  }
  std::string body(const std::string& target) const { return body_of(server_->ask(get_request(target))); }
  std::string url(const std::string& target) const {
    return "http://127.0.0.1:" + std::to_string(server_->port()) + target;
  }

  /// The playlist of a video without its first segments.
  std::string playlist_from(const std::string& id, size_t segment) const {
    std::string list = body("/hls/" + id + "/live.m3u8");
    const size_t first = list.find("#EXTINF");
    size_t end = first;
    for (size_t i = 0; i < segment; ++i) end = list.find("#EXTINF", end + 1);
    list.erase(first, end - first);
    for (const std::string name : {"init.mp4", "0000"}) {
      for (size_t at = 0; (at = list.find(name, at)) != list.npos; at += name.size()) {
        const std::string folder = url("/hls/" + id + "/");
        list.insert(at, folder);
        at += folder.size();
      }
    }
    return list;
  }

  static Frames tail(const Frames& all, size_t count) {
    return {all.end() - static_cast<ptrdiff_t>(std::min(count, all.size())), all.end()};
  }

  TemporaryFolder folder_;
  std::unique_ptr<ServeProcess> server_;
};

TEST_F(Players, PlayHlsFromTheStartAndFromTheMiddle) {
  const std::string id = start_video(6);
  const Frames video = finished(id);
  ASSERT_EQ(video.size(), 96u);
  for (const std::string& playlist : {url("/hls/live.m3u8"), url("/hls/" + id + "/live.m3u8")}) {
    EXPECT_EQ(decoded("-i " + playlist), video);
    EXPECT_EQ(decoded("-i " + playlist + " -ss 3"), tail(video, 48));
  }
  // Joined at a later segment, of 12 frames each, as players do that seek. (ffmpeg 5.1 itself finds nothing behind
  // `-ss` before `-i` in fragmented MP4 over HLS, not in playlists of its own either.)
  for (const size_t segment : {1, 4, 8}) {
    std::ofstream(folder_ / "later.m3u8") << playlist_from(id, segment);
    EXPECT_EQ(decoded("-protocol_whitelist file,http,tcp -i " + (folder_ / "later.m3u8").string()),
              tail(video, 96 - 9 - 12 * (segment - 1)))
        << "from segment " << segment;
  }
}

TEST_F(Players, DecodeTheStreamFromAnyJoin) {
  const std::string id = start_video(6);
  const Frames video = finished(id);
  const std::string init = body("/hls/" + id + "/init.mp4");
  std::vector<std::string> segments;
  for (int i = 0; i < 9; ++i) segments.push_back(body("/hls/" + id + "/00000" + std::to_string(i) + ".m4s"));
  size_t left = video.size();
  for (size_t first = 0; first < segments.size(); ++first) {
    std::string bytes = init;
    for (size_t i = first; i < segments.size(); ++i) bytes += segments[i];
    EXPECT_EQ(decoded_bytes("join.mp4", bytes), tail(video, left)) << "from segment " << first;
    left -= first == 0 ? 9 : 12;
  }
}

TEST_F(Players, JoinAVideoThatGrows) {
  const std::string id = start_video(20);
  std::vector<std::string> received(4);
  std::vector<std::jthread> viewers;
  for (std::string& bytes : received) {
    const int64_t block = 3 * static_cast<int64_t>(viewers.size() + 1);
    server_->wait_for(id, [&](const Video& video) { return video.progress.block >= block; });
    viewers.emplace_back([&bytes, port = server_->port()] {
      RawClient viewer(port);
      viewer.send(get_request("/stream.mp4", "Connection: close\r\n"));
      bytes = unchunked(viewer.receive_all());
    });
  }
  ASSERT_FALSE(is_final(server_->catalog().get(id).video.status)) << "the video was done before all had joined";
  const Frames player = decoded("-i " + url("/hls/live.m3u8"));  // follows the playlist to its end
  viewers.clear();
  const Frames video = finished(id);
  ASSERT_EQ(video.size(), 320u);
  size_t before = video.size();
  for (const std::string& bytes : received) {
    const Frames seen = decoded_bytes("viewer.mp4", bytes);
    EXPECT_LT(seen.size(), before) << "it joined later";
    EXPECT_GT(seen.size(), 0u);
    EXPECT_EQ(seen, tail(video, seen.size()));
    before = seen.size();
  }
  EXPECT_GT(player.size(), 0u);
  EXPECT_EQ(player, tail(video, player.size()));
}

}  // namespace
}  // namespace flashblock
