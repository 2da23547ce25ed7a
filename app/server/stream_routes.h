// Films for viewers: as one stream, as pieces with a playlist.
#pragma once

#include "app/server/film_streams.h"
#include "app/server/http_server.h"

namespace flashblock {

/// Adds /stream.mp4 and /v1/videos/{id}/stream.mp4, fragmented MP4 that goes on while the film grows, from its newest
/// piece or with ?from=start from the first; /hls/live.m3u8 and /hls/{id}/..., the same pieces for HLS players.
/// `streams` outlives the server's threads.
void add_stream_routes(HttpServer& server, FilmStreams& streams);

}  // namespace flashblock
