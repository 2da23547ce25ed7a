// Addresses that watch one video for a limited time, without a token.
#include "server/address_signer.h"

#include <gtest/gtest.h>

namespace flashblock {
namespace {

constexpr std::time_t kNow = 1'796'055'305;
const std::string kVideo = "video_0123456789abcdef01234567", kOther = "video_0123456789abcdef01234568";
const AddressSigner kSigner("a-token-of-some-length");

bool admits(const std::string& target, const std::string& method = "GET", std::time_t now = kNow) {
  HttpRequest request{.method = method};
  set_target(request, target);
  return kSigner.admits(request, now);
}

TEST(AddressSigner, AdmitsWatchingOneVideoForADay) {
  const std::string query = kSigner.query(kVideo, kNow);
  for (const std::string& path : {"/v1/videos/" + kVideo + "/stream.mp4", "/v1/videos/" + kVideo + "/content",
                                  "/hls/" + kVideo + "/live.m3u8", "/hls/" + kVideo + "/000001.m4s"}) {
    EXPECT_TRUE(admits(path + query)) << path;
    EXPECT_TRUE(admits(path + query, "HEAD"));
    EXPECT_TRUE(admits(path + query + "&from=start"));
    EXPECT_TRUE(admits(path + query, "GET", kNow + 24 * 3600));
    EXPECT_FALSE(admits(path + query, "GET", kNow + 26 * 3600)) << "it has expired";
    EXPECT_FALSE(admits(path + query, "POST"));
    EXPECT_FALSE(admits(path));
  }
  EXPECT_FALSE(admits("/v1/videos/" + kOther + "/stream.mp4" + query)) << "another video";
  for (const std::string& path : {"/v1/videos/" + kVideo, "/v1/videos/" + kVideo + "/cancel", std::string("/v1/videos"),
                                  std::string("/hls/live.m3u8"), std::string("/v1/events")}) {
    EXPECT_FALSE(admits(path + query)) << path;
  }
}

TEST(AddressSigner, DependsOnTokenAndTime) {
  const std::string path = "/v1/videos/" + kVideo + "/content", query = kSigner.query(kVideo, kNow);
  EXPECT_EQ(query, kSigner.query(kVideo, kNow + 60)) << "the same for a while";
  EXPECT_FALSE(admits(path + AddressSigner("another-token-of-length").query(kVideo, kNow)));
  std::string later = query;
  later.replace(later.find("expires=") + 8, 1, "9");
  EXPECT_FALSE(admits(path + later));
  EXPECT_FALSE(admits(path + "?expires=" + std::string(40, '9') + "&signature=" + std::string(32, '0')));
  EXPECT_EQ(AddressSigner("").query(kVideo, kNow), "");
  HttpRequest request{.method = "GET"};
  set_target(request, path + "?expires=&signature=");
  EXPECT_FALSE(AddressSigner("").admits(request, kNow)) << "where there is no token, others decide";
}

}  // namespace
}  // namespace flashblock
