// The interface for programs: videos in the style of OpenAI's.
#pragma once

#include <filesystem>
#include <string>

#include "app/server/film_planner.h"
#include "app/server/film_streams.h"
#include "app/server/http_server.h"
#include "app/server/video_catalog.h"
#include "app/server/video_folder.h"

namespace flashblock {

/// What the routes work on; all of it outlives the server's threads.
struct VideoService {
  VideoCatalog& catalog;
  FilmStreams& streams;
  const FilmPlanner* planner = nullptr;  ///< null: this server takes no orders
  const VideoFolder* folder = nullptr;   ///< null: it keeps no films
  std::filesystem::path film = {};       ///< without a folder: the one film, once it is complete
};

/// Adds /v1/videos, /v1/videos/{id}, their content, cancel and delete, and /v1/models.
void add_video_routes(HttpServer& server, const VideoService& service);

}  // namespace flashblock
