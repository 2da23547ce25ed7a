// The running video for viewers: as one stream, and as HLS segments.
#pragma once

#include "server/http_server.h"
#include "server/video_streams.h"

namespace flashblock {

/// Adds /stream.mp4 and /v1/videos/{id}/stream.mp4, fragmented MP4 that is sent while the video is rendered, starting
/// at the newest segment or with ?from=start at the first; and /hls/live.m3u8 and /hls/{id}/..., the same segments for
/// HLS players. `streams` outlives the server's threads.
void add_stream_routes(HttpServer& server, VideoStreams& streams);

}  // namespace flashblock
