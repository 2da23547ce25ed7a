// The server's figures for Prometheus.
#pragma once

#include <string>

#include "app/server/film_streams.h"
#include "app/server/http_server.h"
#include "app/server/video_catalog.h"

namespace flashblock {

/// All figures in the text format of Prometheus.
std::string metrics_text(const HttpServer& server, const VideoCatalog& catalog, ViewerCounts& viewers);

}  // namespace flashblock
