#include "server/hls_playlist.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace flashblock {
namespace {

constexpr size_t kDigits = 6;  // of a segment's index, at least

}  // namespace

std::string hls_playlist(const std::vector<VideoStream::Segment>& segments, int64_t fps, const std::string& folder,
                         StreamCursor::Start start, bool ended) {
  int64_t longest = 1;  // frames
  for (const VideoStream::Segment& segment : segments) longest = std::max(longest, segment.frames);
  // No segment may be longer than the target duration when rounded to the nearest second.
  const int64_t target = std::max<int64_t>(1, (2 * longest + fps) / (2 * fps));
  std::string text = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:" + std::to_string(target) +
                     "\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-INDEPENDENT-SEGMENTS\n";
  if (start == StreamCursor::Start::kFirst && !ended) text += "#EXT-X-START:TIME-OFFSET=0\n";
  text += "#EXT-X-MAP:URI=\"" + folder + "init.mp4\"\n";
  for (size_t i = 0; i < segments.size(); ++i) {
    char entry[64];
    std::snprintf(entry, sizeof entry, "#EXTINF:%.6f,\n",
                  static_cast<double>(segments[i].frames) / static_cast<double>(fps));
    char name[32];
    std::snprintf(name, sizeof name, "%06zu.m4s\n", i);
    text += entry + folder + name;
  }
  if (ended) text += "#EXT-X-ENDLIST\n";
  return text;
}

int64_t hls_segment_index(const std::string& name) {
  constexpr size_t kMostDigits = 12;  // so that the index fits
  if (name.size() < kDigits || name.size() > kMostDigits) return -1;
  if (!std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; })) return -1;
  return std::strtoll(name.c_str(), nullptr, 10);
}

}  // namespace flashblock
