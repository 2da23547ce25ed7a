// The server over loopback: requests, errors, limits and access.
#include "server/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/request_guard.h"
#include "tests/support/raw_client.h"

namespace flashblock {
namespace {

using namespace testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

/// A server with a few routes, behind a guard.
class Served {
 public:
  explicit Served(HttpServerOptions options = {}, GuardOptions guard = {})
      : server_(with_free_port(options)), guard_(guard) {
    server_.set_gate([this](const auto& request, auto& response) { return guard_.answer_instead(request, response); },
                     [this](const auto& request, auto& response) { guard_.add_headers(request, response); });
    server_.route("GET", "/word", [](const auto&, auto& response) { response.set_content("here", "text/plain"); });
    server_.route("GET", "/healthz", [](const auto&, auto& response) { response.set_content("ok", "text/plain"); });
    server_.route("GET", "/", [](const auto&, auto& response) { response.set_content("page", "text/html"); });
    server_.route("GET", "/things/{id}", [](const auto& request, auto& response) {
      response.set_content(request.path_parameter("id"), "text/plain");
    });
    server_.route("GET", "/all/{rest...}", [](const auto& request, auto& response) {
      response.set_content(request.path_parameter("rest"), "text/plain");
    });
    server_.route("POST", "/echo",
                  [](const auto& request, auto& response) { response.set_content(request.body, "text/plain"); });
    server_.start();
  }

  int port() const { return server_.port(); }
  std::string ask(const std::string& request) const { return exchange(port(), request); }
  HttpServer& server() { return server_; }

 private:
  static HttpServerOptions with_free_port(HttpServerOptions options) {
    options.port = 0;
    return options;
  }

  HttpServer server_;
  RequestGuard guard_;
};

TEST(HttpServer, AnswersManyRequestsOnOneConnection) {
  const Served served;
  RawClient client(served.port());
  client.send(get_request("/word") + get_request("/things/a-1_B") + post_request("/echo", "{}"));
  EXPECT_EQ(body_of(client.receive_answer()), "here");
  EXPECT_EQ(body_of(client.receive_answer()), "a-1_B");
  EXPECT_EQ(body_of(client.receive_answer()), "{}");
  client.send(get_request("/word", "Connection: close\r\n"));
  EXPECT_EQ(body_of(client.receive_answer()), "here");
  EXPECT_EQ(client.receive(), "") << "the connection should be closed";
}

TEST(HttpServer, SendsSecurityHeaders) {
  const std::string answer = Served().ask(get_request("/word"));
  for (const char* header :
       {"Content-Security-Policy: default-src 'none'", "X-Content-Type-Options: nosniff", "X-Frame-Options: DENY",
        "Cross-Origin-Resource-Policy: same-origin", "Referrer-Policy: no-referrer", "Cache-Control: no-store"}) {
    EXPECT_THAT(answer, HasSubstr(header));
  }
}

TEST(HttpServer, RejectsMalformedRequests) {
  const Served served;
  const std::string host = "Host: localhost\r\n";
  const std::vector<std::pair<std::string, int>> requests = {
      {"\r\n\r\n", 400},
      {"GET /word\r\n" + host + "\r\n", 400},
      {"GET  HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET word HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET /a\x01 HTTP/1.1\r\n" + host + "\r\n", 400},
      {"G@T /word HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET /word HTTP/2.0\r\n" + host + "\r\n", 505},
      {"GET /word HTTP/1.1\r\n\r\n", 400},
      {"GET /word HTTP/1.1\r\n" + host + host + "\r\n", 400},
      {get_request("/word", "no colon\r\n"), 400},
      {get_request("/word", " folded: x\r\n"), 400},
      {get_request("/word", "X: a\nb\r\n"), 400},
      {get_request("/word", std::string("X: a") + '\0' + "b\r\n"), 400},
      {"POST /echo HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n", 400},
      {"POST /echo HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400},
      {"POST /echo HTTP/1.1\r\n" + host + "Content-Length: 99999999999999999999\r\n\r\n", 400},
      {"POST /echo HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
      {"POST /echo HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
      {"POST /echo HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"POST /echo HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400},
      {"POST /echo HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n20000\r\n", 413},
      {"POST /echo HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(200'000, 'x'), 413},
      {get_request("/word", "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n"), 400},
      {"POST /echo HTTP/1.1\r\n" + host + "Content-Length: 70000\r\n\r\n", 413},
      {"POST /echo HTTP/1.1\r\n" + host + "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", 415},
      {get_request("/" + std::string(8000, 'a')), 414},
      {get_request("/word", "X: " + std::string(20000, 'a') + "\r\n"), 431},
      {get_request("/word",
                   [] {
                     std::string many;
                     for (int i = 0; i < 80; ++i) many += "X: a\r\n";
                     return many;
                   }()),
       431},
      {get_request("/word", "Expect: a miracle\r\n"), 417},
  };
  for (const auto& [request, status] : requests) {
    const std::string answer = served.ask(request);
    EXPECT_EQ(status_of(answer), status) << request.substr(0, 80);
    EXPECT_THAT(answer, HasSubstr("Connection: close"));
    EXPECT_THAT(body_of(answer), HasSubstr("\"error\""));
  }
  EXPECT_EQ(body_of(served.ask(get_request("/word"))), "here") << "the server still works";
}

TEST(HttpServer, KnowsItsPathsAndMethods) {
  const Served served;
  EXPECT_EQ(status_of(served.ask(get_request("/nothing"))), 404);
  EXPECT_EQ(status_of(served.ask(get_request("/things/a.b"))), 404);
  EXPECT_EQ(status_of(served.ask(get_request("/things/..%2f"))), 404);
  const std::string wrong = served.ask("DELETE /word HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(status_of(wrong), 405);
  EXPECT_THAT(wrong, HasSubstr("Allow: GET, HEAD"));
  for (const char* method : {"BREW", "TRACE", "QUERY", "PUT", "OPTIONS", "get"}) {
    const std::string answer = served.ask(std::string(method) + " /word HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_EQ(status_of(answer), 405) << method;
    EXPECT_THAT(answer, HasSubstr("Allow: GET, HEAD\r\n"));
  }
  EXPECT_EQ(body_of(served.ask("POST /echo HTTP/1.1\r\nHost: localhost\r\n\r\n")), "");
}

TEST(HttpServer, SkipsABodyThatNoHandlerReads) {
  const Served served;
  RawClient client(served.port());
  client.send(get_request("/word", "Content-Length: 4\r\n") + "GET " + get_request("/things/next") +
              "PUT /word HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}" + get_request("/word"));
  EXPECT_EQ(body_of(client.receive_answer()), "here");
  EXPECT_EQ(body_of(client.receive_answer()), "next");
  EXPECT_EQ(status_of(client.receive_answer()), 405);
  EXPECT_EQ(body_of(client.receive_answer()), "here");
}

TEST(HttpServer, TakesBodiesInChunksWithinTheLimits) {
  const Served served;
  const std::string head = "POST /echo HTTP/1.1\r\nHost: localhost\r\ntransfer-encoding: Chunked\r\n\r\n";
  RawClient client(served.port());
  client.send(head + "4;name=value\r\nwiki\r\n5\r\npedia\r\n0\r\nTrailer: ignored\r\n\r\n" + get_request("/word"));
  EXPECT_EQ(body_of(client.receive_answer()), "wikipedia");
  EXPECT_EQ(body_of(client.receive_answer()), "here") << "the next request begins where the chunks end";
  std::string large = head;
  for (int i = 0; i < 64; ++i) large += "400\r\n" + std::string(1024, 'x') + "\r\n";
  EXPECT_EQ(body_of(served.ask(large + "0\r\n\r\n")).size(), 65536u);
  EXPECT_EQ(status_of(served.ask(large + "1\r\nx\r\n0\r\n\r\n")), 413);
}

TEST(HttpServer, TakesTargetsInAbsoluteForm) {
  const Served served;
  const auto status = [&](const std::string& target) {
    return status_of(served.ask("GET " + target + " HTTP/1.1\r\nHost: evil.example\r\n\r\n"));
  };
  EXPECT_EQ(status("http://localhost:8080/word"), 200) << "its authority counts, not the Host header";
  EXPECT_EQ(status("HTTP://LOCALHOST/word"), 200);
  EXPECT_EQ(status("http://localhost"), 200) << "the page";
  EXPECT_EQ(status("http://evil.example/word"), 403);
  EXPECT_EQ(status("ftp://localhost/word"), 400);
}

TEST(HttpServer, SendsTheDateAndRefusesParametersThatAreGivenTwice) {
  const Served served;
  EXPECT_THAT(served.ask(get_request("/word")), HasSubstr(" GMT\r\n"));
  const std::string twice = served.ask(get_request("/word?limit=1&order=asc&limit=2"));
  EXPECT_EQ(status_of(twice), 400);
  EXPECT_THAT(twice, HasSubstr("\"param\":\"limit\""));
}

TEST(HttpServer, AnswersHealthChecksThatNameNoHost) {
  const Served served;
  EXPECT_EQ(body_of(served.ask("GET /word HTTP/1.0\r\n\r\n")), "here") << "as HAProxy asks";
  EXPECT_EQ(status_of(served.ask("GET /word HTTP/1.1\r\n\r\n")), 400);
}

TEST(HttpServer, SkipsAnEmptyLineBeforeARequest) {
  const Served served;
  EXPECT_EQ(body_of(served.ask("\r\n" + get_request("/word"))), "here");
  RawClient client(served.port());
  client.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx\r\n");
  EXPECT_EQ(body_of(client.receive_answer()), "x");
  client.send(get_request("/word"));
  EXPECT_EQ(body_of(client.receive_answer()), "here");
}

TEST(HttpServer, HasRoutesForAllThatIsLeftOfAPath) {
  const Served served;
  EXPECT_EQ(body_of(served.ask(get_request("/all/a.b/c-1.3b"))), "a.b/c-1.3b");
  EXPECT_EQ(status_of(served.ask(get_request("/all/"))), 404);
}

TEST(HttpServer, SendsContinueToAClientThatWaitsForIt) {
  const Served served;
  RawClient chunks(served.port());
  chunks.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(chunks.receive(), "HTTP/1.1 100 Continue\r\n\r\n");
  chunks.send("1\r\nx\r\n0\r\n\r\n");
  EXPECT_EQ(body_of(chunks.receive_answer()), "x");
  RawClient client(served.port());
  client.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.receive(), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("body");
  EXPECT_EQ(body_of(client.receive_answer()), "body");
}

TEST(HttpServer, HasATimeLimitForRequests) {
  const Served served({.times = {.request = std::chrono::milliseconds(50), .idle = std::chrono::milliseconds(50)}});
  RawClient half(served.port());
  half.send("GET /word HTTP/1.1\r\nHost:");
  EXPECT_EQ(status_of(half.receive_all()), 408);
  RawClient without_body(served.port());
  without_body.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nab");
  EXPECT_EQ(status_of(without_body.receive_all()), 408);
  RawClient silent(served.port());
  EXPECT_EQ(silent.receive(), "") << "closed without a response";
}

TEST(HttpServer, RejectsConnectionsBeyondTheLimit) {
  const Served served({.max_connections = 2});
  RawClient first(served.port()), second(served.port());
  first.send(get_request("/word"));
  second.send(get_request("/word"));
  EXPECT_EQ(status_of(first.receive_answer()), 200);
  EXPECT_EQ(status_of(second.receive_answer()), 200);
  RawClient third(served.port());
  EXPECT_EQ(status_of(third.receive_all()), 503);
}

TEST(HttpServer, StopsWithOpenConnections) {
  auto served = std::make_unique<Served>();
  RawClient idle(served->port()), half(served->port());
  half.send("GET /word HTT");
  idle.send(get_request("/word"));
  EXPECT_EQ(body_of(idle.receive_answer()), "here");
  served.reset();
  EXPECT_EQ(idle.receive(), "");
}

TEST(RequestGuard, KnowsItsOwnNames) {
  const Served served({}, {.hosts = {"videos.example"}});
  const auto status = [&](const std::string& host) {
    return status_of(served.ask("GET /word HTTP/1.1\r\nHost: " + host + "\r\n\r\n"));
  };
  for (const char* known :
       {"localhost", "LOCALHOST:80", "127.0.0.1:8080", "[::1]:1", "192.168.1.7", "videos.example"}) {
    EXPECT_EQ(status(known), 200) << known;
  }
  for (const char* foreign : {"evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example",
                              "videos.example.evil", "", "[::1"}) {
    EXPECT_EQ(status(foreign), foreign == std::string("[::1") ? 200 : 403) << foreign;
  }
}

TEST(RequestGuard, RejectsPagesOfOtherOrigins) {
  const Served served;
  const auto get = [&](const std::string& headers) { return status_of(served.ask(get_request("/word", headers))); };
  EXPECT_EQ(get("Origin: http://localhost\r\n"), 200);
  EXPECT_EQ(get("Origin: https://localhost\r\n"), 200);
  EXPECT_EQ(get("Origin: HTTP://LOCALHOST\r\n"), 200);
  EXPECT_EQ(get("Origin: http://evil.example\r\n"), 403);
  EXPECT_EQ(get("Origin: http://localhost:81\r\n"), 403);
  EXPECT_EQ(get("Origin: null\r\n"), 403);
  EXPECT_EQ(get("Sec-Fetch-Site: same-origin\r\n"), 200);
  EXPECT_EQ(get("Sec-Fetch-Site: none\r\n"), 200);
  EXPECT_EQ(get("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n"), 403);
  EXPECT_EQ(get("Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: cors\r\n"), 403);
  EXPECT_EQ(get("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n"), 200) << "a link to the page";
  EXPECT_EQ(status_of(served.ask(post_request("/echo", "{}", "Origin: http://evil.example\r\n"))), 403);
}

TEST(RequestGuard, AdmitsPagesOfNamedOriginsAlone) {
  const std::string origin = "http://localhost:3000", token = "a-token-of-some-length";
  const Served served({}, {.token = token, .origins = {origin, "https://studio.example"}});
  const std::string from = "Origin: " + origin + "\r\n";
  const std::string preflight = served.ask("OPTIONS /things/a HTTP/1.1\r\nHost: localhost\r\n" + from +
                                           "Access-Control-Request-Method: DELETE\r\n"
                                           "Access-Control-Request-Headers: authorization\r\n\r\n");
  EXPECT_THAT(preflight, AllOf(StartsWith("HTTP/1.1 204"), HasSubstr("Access-Control-Allow-Origin: " + origin + "\r\n"),
                               HasSubstr("Access-Control-Allow-Methods: GET, HEAD, POST, DELETE\r\n"),
                               HasSubstr("Access-Control-Allow-Headers: Authorization, Content-Type, Range"),
                               HasSubstr("Vary: Origin\r\n"), Not(HasSubstr("\r\nContent-Length"))));
  const std::string bearer = "Authorization: Bearer " + token + "\r\n";
  const std::string answer = served.ask(get_request("/word", from + bearer + "Sec-Fetch-Site: same-site\r\n"));
  EXPECT_THAT(answer,
              AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("Access-Control-Allow-Origin: " + origin + "\r\n"),
                    HasSubstr("Access-Control-Expose-Headers: "), HasSubstr("Content-Range"), HasSubstr("ETag")));
  const std::string without = served.ask(get_request("/word", from));
  EXPECT_THAT(without, AllOf(StartsWith("HTTP/1.1 401"), HasSubstr("Access-Control-Allow-Origin: ")))
      << "the page can read why";
  for (const char* other : {"http://localhost:3001", "https://localhost:3000", "http://studio.example", "null",
                            "https://studio.example.evil", "https://evil.studio.example"}) {
    const std::string refused = served.ask(get_request("/word", std::string("Origin: ") + other + "\r\n" + bearer));
    EXPECT_EQ(status_of(refused), 403) << other;
    EXPECT_THAT(refused,
                AllOf(Not(HasSubstr("Access-Control")), HasSubstr("Vary: Origin"), HasSubstr("admit an origin")));
  }
  EXPECT_THAT(served.ask(get_request("/word", bearer)), AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("Vary: Origin")));
}

TEST(RequestGuard, SignedAddressesNeedNoToken) {
  const std::string token = "a-token-of-some-length", id = "video_0123456789abcdef01234567";
  const Served served({}, {.token = token});
  const std::string query = AddressSigner(token).query(id);
  const auto status = [&](const std::string& target, const std::string& more = "") {
    return status_of(served.ask(get_request(target, more)));
  };
  EXPECT_EQ(status("/v1/videos/" + id + "/stream.mp4" + query), 404) << "past the guard, where nothing is";
  EXPECT_EQ(status("/v1/videos/" + id + "/stream.mp4"), 401);
  EXPECT_EQ(status("/hls/" + id + "/000001.m4s" + query, "Sec-Fetch-Site: cross-site\r\n"), 404);
  EXPECT_EQ(status("/v1/videos/" + id + query), 401) << "it is for watching alone";
  EXPECT_EQ(status("/word" + query), 401);
  EXPECT_EQ(
      status_of(served.ask("DELETE /v1/videos/" + id + "/content" + query + " HTTP/1.1\r\nHost: localhost\r\n\r\n")),
      401);
}

TEST(RequestGuard, RequiresTheToken) {
  const std::string token = "a-token-of-some-length";
  const Served served({}, {.token = token, .port = 1});
  const auto get = [&](const std::string& target, const std::string& headers) {
    return served.ask(get_request(target, headers));
  };
  EXPECT_THAT(get("/word", ""), AllOf(StartsWith("HTTP/1.1 401"), HasSubstr("WWW-Authenticate: Bearer")));
  EXPECT_EQ(status_of(get("/word", "Authorization: Bearer " + token + "\r\n")), 200);
  EXPECT_EQ(status_of(get("/word", "Authorization: bearer " + token + "\r\n")), 200);
  EXPECT_EQ(status_of(get("/word", "Authorization: BEARER  " + token + "\r\n")), 200);
  EXPECT_EQ(status_of(get("/word", "Authorization: Bearer\r\n")), 401);
  EXPECT_EQ(status_of(get("/word", "Authorization: Bearer A-TOKEN-OF-SOME-LENGTH\r\n")), 401);
  EXPECT_EQ(status_of(get("/word", "Authorization: Bearer " + token + "x\r\n")), 401);
  EXPECT_EQ(status_of(get("/word", "Authorization: Bearer \r\n")), 401);
  EXPECT_EQ(status_of(get("/word", "Authorization: Basic " + token + "\r\n")), 401);
  EXPECT_EQ(status_of(get("/word?token=" + token, "")), 401) << "only accepted by the page";
  EXPECT_EQ(status_of(get("/healthz", "")), 200);
  EXPECT_EQ(status_of(get("/nothing", "")), 401) << "does not reveal which paths exist";

  const std::string form = get("/", "");
  EXPECT_THAT(form, AllOf(StartsWith("HTTP/1.1 401"), HasSubstr("<form"), Not(HasSubstr(token))));
  EXPECT_EQ(status_of(get("/?token=wrong", "")), 401);
  const std::string welcome = get("/?token=" + token, "");
  EXPECT_THAT(welcome, AllOf(StartsWith("HTTP/1.1 303"), HasSubstr("Location: ./\r\n"), HasSubstr("HttpOnly"),
                             HasSubstr("SameSite=Strict"), Not(HasSubstr("Path")), Not(HasSubstr(token))));
  const auto sent = [&](const std::string& body) {
    return served.ask(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        "Content-Length: " +
        std::to_string(body.size()) + "\r\n\r\n" + body);
  };
  EXPECT_THAT(sent("token=" + token), AllOf(StartsWith("HTTP/1.1 303"), HasSubstr("Set-Cookie: ")))
      << "the form keeps the token out of addresses, and so out of logs";
  EXPECT_THAT(sent("token=wrong"), AllOf(StartsWith("HTTP/1.1 401"), HasSubstr("method=\"post\"")));
  const size_t begin = welcome.find("Set-Cookie: ") + 12;
  const std::string cookie = welcome.substr(begin, welcome.find(';', begin) - begin);
  EXPECT_EQ(status_of(get("/word", "Cookie: other=1; " + cookie + "\r\n")), 200);
  EXPECT_EQ(status_of(get("/word", "Cookie: " + cookie + "0\r\n")), 401);
  EXPECT_EQ(status_of(get("/word", "Cookie: flashblock_1=\r\n")), 401);
}

TEST(RequestGuard, ComparesAndDrawsSecrets) {
  EXPECT_TRUE(same_secret("abc", "abc"));
  EXPECT_FALSE(same_secret("abc", "abd"));
  EXPECT_FALSE(same_secret("abc", "ab"));
  EXPECT_FALSE(same_secret("", "a"));
  EXPECT_EQ(draw_token().size(), 40u);
  EXPECT_NE(draw_token(), draw_token());
}

}  // namespace
}  // namespace flashblock
