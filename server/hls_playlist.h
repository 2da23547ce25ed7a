// The playlist by which players follow a video over HTTP Live Streaming.
#pragma once

#include <string>
#include <vector>

#include "server/video_stream.h"

namespace flashblock {

/// An event playlist: all segments so far, in order. While more will come players begin near its end, kFirst asks them
/// to begin at the first segment. `folder` comes before the names of the files, init.mp4 and 000000.m4s, 000001.m4s,
/// ... Source: RFC 8216, version 7; EXT-X-START: 4.3.5.2.
std::string hls_playlist(const std::vector<VideoStream::Segment>& segments, int64_t fps, const std::string& folder,
                         StreamCursor::Start start, bool ended);

/// The number of a segment by its file's name; -1: it is not one.
int64_t hls_segment_index(const std::string& name);

}  // namespace flashblock
