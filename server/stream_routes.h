// What the server sends while it changes: the running video, as one stream and as HLS segments, and events.
#pragma once

#include "server/address_signer.h"
#include "server/http_server.h"
#include "server/video_catalog.h"
#include "server/video_stream.h"

namespace flashblock {

/// Adds /stream.mp4 and /v1/videos/{id}/stream.mp4, fragmented MP4 that is sent while the video is rendered, starting
/// at the newest segment or with ?from=start at the first; and /hls/live.m3u8 and /hls/{id}/..., the same segments for
/// HLS players. A viewer that comes before the first segment of a video that is
/// running or queued waits for it, half a minute at most. `catalog`: null: no other videos will come. Both outlive the
/// server's threads.
void add_stream_routes(HttpServer& server, VideoStreams& streams, const VideoCatalog* catalog);

/// Adds /v1/events, server-sent events: `videos` with the ids of all, `video` with the whole video for every video that
/// is new or has changed (all videos at first), and `deleted` with the id of every video that was deleted. All
/// references outlive the server's threads.
void add_event_route(HttpServer& server, const VideoCatalog& catalog, VideoStreams& streams,
                     const AddressSigner& signer);

}  // namespace flashblock
