// HTTP Live Streaming: the playlist of a video's segments.
#pragma once

#include <string>
#include <vector>

#include "server/video_stream.h"

namespace flashblock {

/// An event playlist of all segments so far. Until it has ended, players start near its end; kFirst asks them to start
/// at the first segment. `folder` is the prefix of the file names init.mp4, 000000.m4s, 000001.m4s, ... Source: RFC
/// 8216, version 7; EXT-X-START: section 4.3.5.2.
std::string hls_playlist(const std::vector<VideoStream::Segment>& segments, int64_t fps, const std::string& folder,
                         StreamCursor::Start start, bool ended);

/// The index of a segment from its file name without extension; -1: not a segment's name.
int64_t hls_segment_index(const std::string& name);

}  // namespace flashblock
