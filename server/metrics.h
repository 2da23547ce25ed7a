// The server's figures for Prometheus.
#pragma once

#include <string>

#include "server/http_server.h"
#include "server/video_catalog.h"
#include "server/video_streams.h"

namespace flashblock {

/// All figures in the text format of Prometheus.
std::string metrics_text(const HttpServer& server, const VideoCatalog& catalog, ViewerCounts& viewers);

}  // namespace flashblock
