// Changes of videos as server-sent events.
#pragma once

#include "server/video_routes.h"

namespace flashblock {

/// Adds /v1/events: an event `video` with the whole video for every video that is new or has changed (all videos at
/// first), and an event `deleted` with the id of every video that was deleted.
void add_event_route(HttpServer& server, const VideoService& service);

}  // namespace flashblock
