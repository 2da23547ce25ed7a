#include "server/address_signer.h"

#include <cstdint>
#include <optional>

#include "core/parse_number.h"
#include "core/sha256.h"
#include "server/request_guard.h"
#include "server/video.h"

namespace flashblock {
namespace {

constexpr std::time_t kStep = 3600;              // seconds for which signatures stay the same
constexpr std::time_t kValid = 24 * 3600;        // seconds, at least
constexpr size_t kDigits = 32;                   // of a signature: 128 bits
constexpr const char* kExpires = "expires";      // Unix time
constexpr const char* kSignature = "signature";  // hexadecimal

/// The video at an address that a player reads; none for any other address.
std::optional<std::string> watched_video(const std::string& path) {
  constexpr std::string_view kVideos = "/v1/videos/", kHls = "/hls/";
  const bool hls = path.starts_with(kHls);
  if (!hls && !path.starts_with(kVideos)) return {};
  const size_t begin = hls ? kHls.size() : kVideos.size(), end = path.find('/', begin);
  if (end == path.npos) return {};
  const std::string what = path.substr(end);
  const std::string video = path.substr(begin, end - begin);
  if (!is_video_id(video) || (!hls && what != "/stream.mp4" && what != "/content")) return {};
  return video;
}

}  // namespace

AddressSigner::AddressSigner(const std::string& token)
    : key_(token.empty() ? "" : hmac_sha256(token, "flashblock addresses of videos")) {}

std::string AddressSigner::query(const std::string& video, std::time_t now) const {
  if (key_.empty()) return "";
  const std::string expires = std::to_string((now / kStep + 1) * kStep + kValid);
  return std::string("?") + kExpires + "=" + expires + "&" + kSignature + "=" + signature(video, expires);
}

bool AddressSigner::admits(const HttpRequest& request, std::time_t now) const {
  if (key_.empty() || (request.method != "GET" && request.method != "HEAD")) return false;
  const auto video = watched_video(request.path);
  const auto expires = request.query_parameter(kExpires), given = request.query_parameter(kSignature);
  if (!video || !expires || !given) return false;
  const auto time = parse_number<int64_t>(*expires);
  return time && *time > now && same_secret(*given, signature(*video, *expires));
}

std::string AddressSigner::query_of(const HttpRequest& request) {
  const std::string expires = request.query_parameter(kExpires).value_or("");
  const std::string signature = request.query_parameter(kSignature).value_or("");
  const bool well_formed = !expires.empty() && expires.find_first_not_of("0123456789") == expires.npos &&
                           signature.size() == kDigits &&
                           signature.find_first_not_of("0123456789abcdef") == signature.npos;
  return well_formed ? std::string("?") + kExpires + "=" + expires + "&" + kSignature + "=" + signature : "";
}

std::string AddressSigner::signature(const std::string& video, const std::string& expires) const {
  return hmac_sha256(key_, video + " " + expires).substr(0, kDigits);
}

}  // namespace flashblock
