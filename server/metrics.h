// The server's metrics for Prometheus.
#pragma once

#include <string>

#include "server/http_server.h"
#include "server/video_catalog.h"
#include "server/video_stream.h"

namespace flashblock {

/// All metrics in Prometheus' text format.
std::string metrics_text(const HttpServer& server, const VideoCatalog& catalog, ViewerCounts& viewers);

}  // namespace flashblock
