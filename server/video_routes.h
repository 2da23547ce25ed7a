// The API: videos as in OpenAI's API.
#pragma once

#include <filesystem>
#include <string>

#include "server/address_signer.h"
#include "server/http_server.h"
#include "server/request_planner.h"
#include "server/video_catalog.h"
#include "server/video_folder.h"
#include "server/video_stream.h"

namespace flashblock {

/// What the routes use; all of it outlives the server's threads.
struct VideoService {
  VideoCatalog& catalog;
  VideoStreams& streams;
  const RequestPlanner* planner = nullptr;  ///< null: the server does not accept requests for videos
  const VideoFolder* folder = nullptr;      ///< null: videos are not stored
  std::filesystem::path video = {};         ///< without a folder: the file of the only video, once it is complete
  const AddressSigner* signer = nullptr;    ///< of the addresses in responses; set by the server
};

/// Adds /v1/videos, /v1/videos/{id}, their content, cancel and delete, /v1/timelines and /v1/models.
void add_video_routes(HttpServer& server, const VideoService& service);

}  // namespace flashblock
