// The API of `flashblock serve`. Nothing is rendered.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "tests/end_to_end/program_run.h"
#include "tests/end_to_end/serve_process.h"
#include "tests/support/temporary_folder.h"

namespace flashblock {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using Json = nlohmann::json;

/// A small model, in a folder.
class SmallModel : public ::testing::Test {
 protected:
  SmallModel() { write_prompted_model(folder_ / "model"); }

  TemporaryFolder folder_;
};

class ServeApi : public SmallModel {
 protected:
  ServeProcess server_{folder_ / "model", folder_ / "videos", ServeProcess::Rendering::kOff};
};

TEST_F(ServeApi, IsCompatibleWithOpenAIsVideos) {
  const Json video = server_.post("/v1/videos", testing::kShortVideo);
  const std::string id = video.at("id");
  EXPECT_TRUE(is_video_id(id));
  const Json wanted = {{"id", id},
                       {"object", "video"},
                       {"model", "small"},
                       {"status", "queued"},
                       {"progress", 0},
                       {"created_at", video.at("created_at").get<int64_t>()},
                       {"completed_at", nullptr},
                       {"expires_at", nullptr},
                       {"prompt", "a red hill"},
                       {"seconds", "2"},
                       {"size", "48x32"},
                       {"remixed_from_video_id", nullptr},
                       {"error", nullptr}};
  for (const auto& [key, value] : wanted.items()) EXPECT_EQ(video.at(key), value) << key;
  EXPECT_EQ(server_.get("/v1/videos/" + id), video);

  const Json empty_page = {
      {"object", "list"}, {"data", Json::array()}, {"first_id", nullptr}, {"last_id", nullptr}, {"has_more", false}};
  EXPECT_EQ(server_.get("/v1/videos?after=" + id), empty_page) << "newest first: nothing is older";
  const Json gone =
      Json::parse(body_of(server_.ask("DELETE /v1/videos/" + id + " HTTP/1.1\r\nHost: localhost\r\n\r\n")));
  EXPECT_EQ(gone, Json({{"id", id}, {"object", "video.deleted"}, {"deleted", true}}));
  EXPECT_EQ(server_.get("/v1/videos"), empty_page);

  const Json error = server_.post("/v1/videos", {{"prompt", "a"}, {"size", "big"}}).at("error");
  EXPECT_EQ(error, Json({{"message", "size: wanted a size such as 832x480"},
                         {"type", "invalid_request_error"},
                         {"param", "size"},
                         {"code", "invalid_value"}}));
  EXPECT_EQ(server_.get("/v1/videos/" + id).at("error").at("param"), nullptr);
}

TEST_F(ServeApi, ListsPageByPage) {
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) {
    ids.push_back(server_.post("/v1/videos", testing::kShortVideo).at("id"));
    server_.ask(post_request("/v1/videos/" + ids.back() + "/cancel", ""));
  }
  for (const std::string order : {"asc", "desc"}) {
    std::vector<std::string> seen;
    Json page;
    do {
      const std::string after = seen.empty() ? "" : "&after=" + seen.back();
      page = server_.get("/v1/videos?limit=2&order=" + order + after);
      for (const Json& video : page.at("data")) seen.push_back(video.at("id"));
      EXPECT_EQ(page.at("first_id"), page.at("data").front().at("id"));
      EXPECT_EQ(page.at("last_id"), page.at("data").back().at("id"));
    } while (page.at("has_more"));
    if (order == "desc") std::reverse(seen.begin(), seen.end());
    EXPECT_EQ(seen, ids) << order;
  }
  for (const char* query : {"limit=0", "limit=101", "limit=-1", "limit=x", "order=up"}) {
    EXPECT_EQ(status_of(server_.ask(get_request(std::string("/v1/videos?") + query))), 400) << query;
  }
  EXPECT_EQ(status_of(server_.ask(get_request("/v1/videos?after=nobody"))), 404);
}

TEST_F(ServeApi, SendsEventsAsTheyHappen) {
  const std::string before = server_.post("/v1/videos", testing::kShortVideo).at("id");
  RawClient listener(server_.port());
  listener.send(get_request("/v1/events"));
  std::string received;
  const auto until = [&](const std::string& text) {
    for (std::string bytes = "-"; received.find(text) == received.npos && !bytes.empty();)
      received += bytes = listener.receive();
    EXPECT_THAT(received, HasSubstr(text));
  };
  until("Content-Type: text/event-stream");
  until("event: video\ndata: {\"id\":\"" + before + "\"");
  const std::string id = server_.post("/v1/videos", testing::kShortVideo).at("id");
  until("event: video\ndata: {\"id\":\"" + id + "\"");
  server_.ask("DELETE /v1/videos/" + id + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
  until("event: deleted\ndata: {\"id\":\"" + id + "\"}\n\n");
  const auto listeners = [&](int count) {
    const std::string line = "flashblock_viewers{kind=\"events\"} " + std::to_string(count) + "\n";
    return server_.ask(get_request("/metrics")).find(line) != std::string::npos;
  };
  EXPECT_TRUE(listeners(1));
  listener.close();
  for (int i = 0; i < 1000 && !listeners(0); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_TRUE(listeners(0)) << "a disconnect is detected without events";
}

TEST_F(ServeApi, CanBeMonitored) {
  server_.post("/v1/videos", testing::kShortVideo);
  EXPECT_EQ(server_.get("/healthz"), Json({{"status", "ok"}}));
  const std::string answer = server_.ask(get_request("/metrics"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4"));
  std::istringstream lines(body_of(answer));
  std::string line, family, type;
  std::set<std::string> seen;
  while (std::getline(lines, line)) {  // the text format 0.0.4: HELP, TYPE and samples of one family after another
    std::istringstream words(line);
    std::string first, second, name, value;
    words >> first >> second >> name >> value;
    if (first == "#") {
      if (second == "HELP") {
        EXPECT_TRUE(seen.insert(family = name).second) << line;
      } else {
        EXPECT_EQ(second + name, "TYPE" + family) << line;
        type = value;
        EXPECT_TRUE(type == "gauge" || (type == "counter" && family.ends_with("_total"))) << line;
      }
      continue;
    }
    EXPECT_EQ(first.substr(0, first.find('{')), family) << line;
    EXPECT_TRUE(seen.insert(first).second || first == family) << line;
    EXPECT_GE(std::stod(second), 0) << line;
  }
  EXPECT_TRUE(seen.contains("flashblock_http_requests_total"));
  EXPECT_THAT(answer, HasSubstr("\nflashblock_videos{status=\"queued\"} 1\n"));
}

TEST_F(ServeApi, DescriptionMatchesEveryRoute) {
  const auto description =
      server_.get("/openapi.json");  // a range-based for does not extend the life of a temporary's parts
  for (const auto& [path, methods] : description.at("paths").items()) {
    std::string target = path;
    for (const auto& [part, word] : std::map<std::string, std::string>{{"{id}", "video_0"}, {"{segment}", "000000"}}) {
      if (const size_t at = target.find(part); at != target.npos) target.replace(at, part.size(), word);
    }
    if (target == "/v1/events") continue;  // never ends
    for (const auto& [method, about] : methods.items()) {
      std::string name = method;
      std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::toupper(c); });
      const std::string answer = server_.ask(name + " " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
      EXPECT_TRUE(about.at("responses").contains(std::to_string(status_of(answer))))
          << name << " " << path << ": " << answer;
      EXPECT_EQ(answer.find("there is nothing at this address"), answer.npos) << path;
    }
  }
}

TEST_F(ServeApi, ServesNoFilesButItsVideos) {
  const std::string id = server_.post("/v1/videos", testing::kShortVideo).at("id");
  const std::vector<std::string> targets = {"/../../../../etc/passwd",
                                            "/%2e%2e/%2e%2e/etc/passwd",
                                            "/v1/videos/../" + id + "/video.json",
                                            "/v1/videos/" + id + "/video.json",
                                            "/v1/videos/" + id + "%2fvideo.json",
                                            "/v1/videos/..%2f..%2fmodel/content",
                                            "/v1/videos/../content",
                                            "/hls/" + id + "/../../video.json.m4s",
                                            "/hls/" + id + "/video.json",
                                            "/v1/videos/" + id + "/content?variant=../video.json",
                                            "/v1/videos/" + id + "/content?variant=video.json"};
  for (const std::string& target : targets) {
    const std::string answer = server_.ask(get_request(target));
    EXPECT_GE(status_of(answer), 400) << target;
    EXPECT_EQ(answer.find("root:"), answer.npos) << target;
    EXPECT_EQ(answer.find("created_at"), answer.npos) << target;
  }
  server_.ask("DELETE /v1/videos/..%2f" + id + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_TRUE(std::filesystem::exists(folder_ / "videos" / id / "video.json"));
}

TEST_F(ServeApi, PageAllowsOnlyItsOwnScript) {
  const std::string page = server_.ask(get_request("/"));
  const size_t begin = page.find("Content-Security-Policy: ");
  const std::string policy = page.substr(begin, page.find('\r', begin) - begin);
  EXPECT_THAT(policy, HasSubstr("default-src 'none'; script-src 'sha256-"));
  EXPECT_THAT(policy, HasSubstr("style-src 'sha256-"));
  EXPECT_THAT(policy, HasSubstr("frame-ancestors 'none'"));
  for (const char* gap : {"unsafe", "http:", "https:", "*"}) EXPECT_EQ(policy.find(gap), policy.npos) << gap;
  for (const char* foreign : {"src=\"http", "href=\"http", "url(http", "@import", " onclick=", " style=\""}) {
    EXPECT_EQ(page.find(foreign), page.npos) << foreign;
  }
}

TEST_F(ServeApi, QueueHasALimit) {
  const std::string first = server_.post("/v1/videos", testing::kShortVideo).at("id");
  EXPECT_EQ(server_.post("/v1/videos", testing::kShortVideo).at("queue_position"), 2);
  EXPECT_EQ(status_of(server_.ask(post_request("/v1/videos", testing::kShortVideo.dump()))), 429);
  EXPECT_EQ(status_of(server_.ask(post_request("/v1/videos/" + first + "/prompt", R"({"prompt":"night"})"))), 409);
  EXPECT_EQ(status_of(server_.ask(get_request("/v1/videos/" + first + "/content"))), 409);
  server_.ask(post_request("/v1/videos/" + first + "/cancel", ""));
  const Json page = server_.get("/v1/videos?limit=1&order=asc");
  EXPECT_EQ(page.at("data")[0].at("status"), "cancelled");
  EXPECT_EQ(page.at("has_more"), true);
  EXPECT_EQ(server_.get("/v1/videos?after=" + first + "&order=asc").at("data").size(), 1u);
  EXPECT_EQ(server_.get("/v1/videos?after=" + first + "&order=asc").at("data")[0].at("queue_position"), 1);
}

TEST_F(ServeApi, RejectsInvalidRequests) {
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
                            R"({"prompt":"a","model":7})",
                            R"({"prompt":"a","output":"/etc/passwd"})",
                            R"({"prompt":"a","timeline":[{"at":0,"prompt":"b"}]})",
                            R"({"prompt":"a","timeline":[{"at":100,"prompt":"b"}]})",
                            R"({"prompt":"a","timeline":{}})"}) {
    const std::string answer = server_.ask(post_request("/v1/videos", order));
    EXPECT_EQ(status_of(answer), 400) << order;
    EXPECT_TRUE(Json::parse(body_of(answer)).contains("error")) << order;
  }
  EXPECT_EQ(status_of(server_.ask(post_request("/v1/videos", R"({"prompt":"a","model":"other"})"))), 404);
  Json changes = Json::array();
  for (int i = 1; i <= 65; ++i) changes.push_back({{"at", 0.01 * i}, {"prompt", "b"}});
  EXPECT_EQ(status_of(server_.ask(post_request("/v1/videos", Json{{"prompt", "a"}, {"timeline", changes}}.dump()))),
            400);
  const std::string long_prompt = Json{{"prompt", std::string(4001, 'a')}}.dump();
  EXPECT_EQ(status_of(server_.ask(post_request("/v1/videos", long_prompt))), 400);
  EXPECT_EQ(status_of(server_.ask("POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")), 415);
  EXPECT_EQ(server_.get("/v1/videos").at("data").size(), 0u);
}

}  // namespace
}  // namespace flashblock
