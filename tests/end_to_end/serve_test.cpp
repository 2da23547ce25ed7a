// `flashblock serve` as clients meet it, with a small model.
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <fstream>
#include <functional>
#include <optional>

#include "app/server/api_error.h"
#include "app/server/film_worker.h"
#include "app/server/video_server.h"
#include "media/video_reader.h"
#include "tests/app/raw_client.h"
#include "tests/end_to_end/program_run.h"
#include "tests/support/temporary_folder.h"

namespace flashblock {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using Json = nlohmann::json;

/// A server on a folder of films; renders if it is told to.
class Server {
 public:
  enum class Rendering { kOff, kOn };

  Server(const std::filesystem::path& model_folder, const std::filesystem::path& films, Rendering rendering)
      : layers_({make_config_layer("-m", "model", YAML::Node(model_folder.string())),
                 make_config_layer("--device", "device", YAML::Node("cpu")),
                 make_config_layer("--dtype", "dtype", YAML::Node("float32"))}),
        model_(resolve_config(layers_).model, at::kCPU, at::kFloat, profile_),
        planner_(layers_, model_.transformer_config(), {.seconds = 60}),
        folder_(std::make_shared<const VideoFolder>(films)),
        catalog_(folder_, /*most_queued=*/2),
        server_({.port = 0}, {},
                {.catalog = catalog_, .streams = streams_, .planner = &planner_, .folder = folder_.get()}) {
    server_.start();
    if (rendering == Rendering::kOn) worker_.emplace(planner_, *folder_, model_, catalog_, streams_);
  }

  std::string ask(const std::string& request) const { return exchange(server_.port(), request); }
  Json get(const std::string& target) const { return Json::parse(body_of(ask(get_request(target)))); }
  Json post(const std::string& target, const Json& body) const {
    return Json::parse(body_of(ask(post_request(target, body.dump()))));
  }
  int port() const { return server_.port(); }
  VideoCatalog& catalog() { return catalog_; }

  /// Waits until the video fits.
  Video wait_for(const std::string& id, const std::function<bool(const Video&)>& fits) {
    for (int64_t revision = 0;;) {
      revision = catalog_.wait_for_changes(revision, std::chrono::seconds(60)).revision;
      const Video video = catalog_.get(id).video;
      if (fits(video)) return video;
    }
  }
  Video wait_for_end(const std::string& id) {
    return wait_for(id, [](const Video& video) { return is_final(video.status); });
  }

 private:
  std::vector<ConfigLayer> layers_;
  Profile profile_;
  LoadedModel model_;
  FilmPlanner planner_;
  std::shared_ptr<const VideoFolder> folder_;
  VideoCatalog catalog_;
  FilmStreams streams_;
  VideoServer server_;
  std::optional<FilmWorker> worker_;
};

class Serve : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = new TemporaryFolder;
    write_prompted_model(*shared_ / "model");
  }
  static void TearDownTestSuite() { delete shared_; }

  std::unique_ptr<Server> start(const std::string& films, Server::Rendering rendering) const {
    return std::make_unique<Server>(*shared_ / "model", folder_ / films, rendering);
  }
  at::Tensor pictures(const std::string& bytes) const {
    std::ofstream(folder_ / "received.mp4", std::ios::binary) << bytes;
    return read_video(folder_ / "received.mp4");
  }
  std::filesystem::path film(const std::string& films, const std::string& id) const {
    return folder_ / films / id / "film.mp4";
  }

  static TemporaryFolder* shared_;
  TemporaryFolder folder_;
};

TemporaryFolder* Serve::shared_ = nullptr;

const Json kOrder = {{"prompt", "a red hill"}, {"seconds", 2}, {"seed", 7}};

/// The body of a chunked answer.
std::string unchunked(const std::string& answer) {
  std::string body, rest = body_of(answer);
  for (size_t size = 0; (size = std::stoul(rest, nullptr, 16)) > 0;) {
    const size_t begin = rest.find("\r\n") + 2;
    body += rest.substr(begin, size);
    rest.erase(0, begin + size + 2);
  }
  return body;
}

TEST_F(Serve, RendersStreamsAndKeepsAFilm) {
  const auto server = start("films", Server::Rendering::kOn);
  const Json ordered = server->post("/v1/videos", kOrder);
  const std::string id = ordered.at("id");
  EXPECT_EQ(ordered.at("frames"), 32);
  server->wait_for(id, [](const Video& video) { return video.progress.live; });
  RawClient viewer(server->port());
  viewer.send(get_request("/stream.mp4?from=start", "Connection: close\r\n"));
  const std::string stream = viewer.receive_all();
  EXPECT_THAT(stream, HasSubstr("Content-Type: video/mp4; codecs=\"avc1."));
  EXPECT_EQ(server->wait_for_end(id).status, VideoStatus::kCompleted);

  const at::Tensor kept = read_video(film("films", id));
  EXPECT_EQ(kept.size(0), 32);
  EXPECT_TRUE(at::equal(pictures(unchunked(stream)), kept));
  EXPECT_TRUE(at::equal(pictures(body_of(server->ask(get_request("/v1/videos/" + id + "/content")))), kept));
  const Json video = server->get("/v1/videos/" + id);
  EXPECT_EQ(video.at("status"), "completed");
  EXPECT_EQ(video.at("progress"), 100);
  EXPECT_EQ(body_of(server->ask(get_request("/v1/videos/" + id + "/content?variant=thumbnail"))).substr(0, 2),
            "\xff\xd8");
  const std::string part = server->ask(get_request("/v1/videos/" + id + "/content", "Range: bytes=4-7\r\n"));
  EXPECT_EQ(status_of(part), 206);
  EXPECT_EQ(body_of(part), "ftyp");
  EXPECT_EQ(status_of(server->ask(get_request("/v1/videos/" + id + "/content", "Range: bytes=999999999-\r\n"))), 416);

  // HLS: the pieces of the playlist are the film, from the start and from any other piece.
  const std::string playlist = body_of(server->ask(get_request("/hls/live.m3u8")));
  EXPECT_THAT(playlist, HasSubstr("#EXT-X-ENDLIST"));
  const std::string init = body_of(server->ask(get_request("/hls/" + id + "/init.mp4")));
  std::vector<std::string> pieces;
  for (size_t at = 0; (at = playlist.find(id + "/0", at)) != playlist.npos; ++at) {
    const std::string name = playlist.substr(at, playlist.find('\n', at) - at);
    pieces.push_back(body_of(server->ask(get_request("/hls/" + name))));
  }
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_TRUE(at::equal(pictures(init + pieces[0] + pieces[1] + pieces[2]), kept));
  EXPECT_TRUE(at::equal(pictures(init + pieces[1] + pieces[2]), kept.narrow(0, 9, 23)));
  EXPECT_EQ(status_of(server->ask(get_request("/hls/" + id + "/000003.m4s"))), 404);
}

TEST_F(Serve, GoesOnAfterARestartInMidFilm) {
  const Json order = {{"prompt", "a red hill"}, {"seconds", 40}, {"seed", 7}};
  std::string id;
  {
    const auto server = start("films", Server::Rendering::kOn);
    id = server->post("/v1/videos", order).at("id");
    server->post("/v1/videos", kOrder);  // waits
    server->wait_for(id, [](const Video& video) { return video.progress.block >= 2 || is_final(video.status); });
  }
  const Json stored = read_json(folder_ / "films" / id / "video.json");
  ASSERT_EQ(stored.at("status"), "in_progress") << "the film was done before the server ended";
  const auto again = start("films", Server::Rendering::kOn);
  ASSERT_EQ(again->wait_for_end(id).status, VideoStatus::kCompleted);
  EXPECT_EQ(again->get("/v1/videos").at("data").size(), 2u);

  const auto other = start("others", Server::Rendering::kOn);
  const std::string twin = other->post("/v1/videos", order).at("id");
  ASSERT_EQ(other->wait_for_end(twin).status, VideoStatus::kCompleted);
  EXPECT_TRUE(at::equal(read_video(film("films", id)), read_video(film("others", twin))));
}

TEST_F(Serve, StopsAndForgetsFilms) {
  const auto server = start("films", Server::Rendering::kOn);
  const std::string id = server->post("/v1/videos", {{"prompt", "a red hill"}, {"seconds", 40}}).at("id");
  server->wait_for(id, [](const Video& video) { return video.progress.block >= 1; });
  server->ask(post_request("/v1/videos/" + id + "/cancel", ""));
  const Video stopped = server->wait_for_end(id);
  ASSERT_EQ(stopped.status, VideoStatus::kCancelled);
  EXPECT_EQ(read_video(film("films", id)).size(0), stopped.frames);
  EXPECT_LT(stopped.frames, 640);
  EXPECT_EQ(status_of(server->ask("DELETE /v1/videos/" + id + " HTTP/1.1\r\nHost: localhost\r\n\r\n")), 200);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "films" / id));
  EXPECT_EQ(status_of(server->ask(get_request("/v1/videos/" + id))), 404);
}

TEST_F(Serve, QueuesOnlySoMany) {
  const auto server = start("films", Server::Rendering::kOff);
  const std::string first = server->post("/v1/videos", kOrder).at("id");
  EXPECT_EQ(server->post("/v1/videos", kOrder).at("queue_position"), 2);
  EXPECT_EQ(status_of(server->ask(post_request("/v1/videos", kOrder.dump()))), 429);
  EXPECT_EQ(status_of(server->ask(post_request("/v1/videos/" + first + "/prompt", R"({"prompt":"night"})"))), 409);
  EXPECT_EQ(status_of(server->ask(get_request("/v1/videos/" + first + "/content"))), 409);
  server->ask(post_request("/v1/videos/" + first + "/cancel", ""));
  const Json page = server->get("/v1/videos?limit=1&order=asc");
  EXPECT_EQ(page.at("data")[0].at("status"), "cancelled");
  EXPECT_EQ(page.at("has_more"), true);
  EXPECT_EQ(server->get("/v1/videos?after=" + first + "&order=asc").at("data").size(), 1u);
  EXPECT_EQ(server->get("/v1/videos?after=" + first + "&order=asc").at("data")[0].at("queue_position"), 1);
}

TEST_F(Serve, RefusesOrdersThatMakeNoSense) {
  const auto server = start("films", Server::Rendering::kOff);
  for (const char* order : {"",
                            "{",
                            "[]",
                            "{}",
                            R"({"prompt":""})",
                            R"({"prompt":" "})",
                            R"({"prompt":7})",
                            R"({"prompt":"a\u0000b"})",
                            R"({"prompt":"a","seconds":0})",
                            R"({"prompt":"a","seconds":61})",
                            R"({"prompt":"a","seconds":"x"})",
                            R"({"prompt":"a","seconds":true})",
                            R"({"prompt":"a","size":"big"})",
                            R"({"prompt":"a","size":"50x33"})",
                            R"({"prompt":"a","size":"99999x99999"})",
                            R"({"prompt":"a","seed":-1})",
                            R"({"prompt":"a","seed":1.5})",
                            R"({"prompt":"a","model":"other"})",
                            R"({"prompt":"a","output":"/etc/passwd"})",
                            R"({"prompt":"a","timeline":[{"at":0,"prompt":"b"}]})",
                            R"({"prompt":"a","timeline":[{"at":100,"prompt":"b"}]})",
                            R"({"prompt":"a","timeline":{}})"}) {
    const std::string answer = server->ask(post_request("/v1/videos", order));
    EXPECT_EQ(status_of(answer), 400) << order;
    EXPECT_TRUE(Json::parse(body_of(answer)).contains("error")) << order;
  }
  const std::string long_prompt = Json{{"prompt", std::string(4001, 'a')}}.dump();
  EXPECT_EQ(status_of(server->ask(post_request("/v1/videos", long_prompt))), 400);
  EXPECT_EQ(status_of(server->ask("POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")), 415);
  EXPECT_EQ(server->get("/v1/videos").at("data").size(), 0u);
}

}  // namespace
}  // namespace flashblock
