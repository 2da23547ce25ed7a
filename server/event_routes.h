// What changes, as it changes.
#pragma once

#include "server/video_routes.h"

namespace flashblock {

/// Adds /v1/events: server-sent events, `video` with a whole video that is new or has changed (first all there are),
/// `deleted` with the id of one that is gone.
void add_event_route(HttpServer& server, const VideoService& service);

}  // namespace flashblock
