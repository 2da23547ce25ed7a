#include "server/video_routes.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "server/api_error.h"
#include "server/file_answer.h"
#include "server/form_data.h"

namespace flashblock {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostListed = 100;

/// A file of a video that clients can download.
struct Variant {
  std::filesystem::path (VideoFolder::*file)(const std::string& id) const;
  const char* type;
  const char* extension;
};
const std::map<std::string, Variant> kVariants = {
    {"video", {&VideoFolder::video, "video/mp4", ".mp4"}},
    {"thumbnail", {&VideoFolder::thumbnail, "image/jpeg", ".jpg"}},
    {"spritesheet", {&VideoFolder::contact_sheet, "image/png", ".png"}},
};

void send_json(HttpResponse& response, const Json& document) {
  response.set_content(document.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n", "application/json");
}

Json object(const ListedVideo& listed) { return video_object(listed.video, listed.queue_position); }

nlohmann::json parsed(const std::string& text) {
  nlohmann::json document = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) throw ApiError({400, "invalid_json", "the body is not JSON"});
  return document;
}

/// The request's body as JSON; a form's fields as the members of an object.
nlohmann::json document_of(const HttpRequest& request) {
  const std::string type = request.header("Content-Type");
  if (type.substr(0, type.find(';')) == "application/json") return parsed(request.body);
  if (!is_form(type)) {
    throw ApiError({415, "content_type", "send the body as application/json or multipart/form-data"});
  }
  nlohmann::json document = nlohmann::json::object();
  for (const FormPart& part : parse_form(type, request.body)) {
    if (part.is_file) throw ApiError({400, "invalid_value", "files are not accepted here", part.name});
    document[part.name] = part.content;
  }
  try {
    (void)document.dump();
  } catch (const nlohmann::json::exception&) {
    throw ApiError({400, "invalid_value", "the form holds text that is not UTF-8"});
  }
  return document;
}

VideoPageQuery page_query(const HttpRequest& request) {
  VideoPageQuery query;
  if (const auto limit = request.query_parameter("limit")) {
    const char *begin = limit->data(), *end = begin + limit->size();
    const auto [rest, fault] = std::from_chars(begin, end, query.limit);
    if (fault != std::errc() || rest != end || query.limit < 1 || query.limit > kMostListed) {
      throw ApiError(
          {400, "invalid_value", "limit: wanted a whole number from 1 to " + std::to_string(kMostListed), "limit"});
    }
  }
  if (const auto after = request.query_parameter("after")) {
    if (after->empty()) throw ApiError({400, "invalid_value", "after: wanted the id of a video", "after"});
    query.after = *after;
  }
  const std::string order = request.query_parameter("order").value_or("desc");
  if (order != "asc" && order != "desc") throw ApiError({400, "invalid_value", "order: wanted asc or desc", "order"});
  query.newest_first = order == "desc";
  return query;
}

Json page_object(const VideoPage& page) {
  Json data = Json::array();
  for (const ListedVideo& listed : page.videos) data.push_back(object(listed));
  const bool empty = page.videos.empty();
  return {{"object", "list"},
          {"data", data},
          {"first_id", empty ? Json() : Json(page.videos.front().video.id)},
          {"last_id", empty ? Json() : Json(page.videos.back().video.id)},
          {"has_more", page.has_more}};
}

Json models_object(const VideoService& service, const Json& defaults) {
  return {{"object", "list"}, {"mode", service.planner ? "serve" : "preview"}, {"data", defaults}};
}

Json model_list(const VideoService& service) {
  if (!service.planner) return Json::array();
  const RenderConfig& config = service.planner->defaults();
  const VideoLimits& limits = service.planner->limits();
  const double seconds = static_cast<double>(config.rendered_frames()) / static_cast<double>(config.fps);
  return Json::array({{{"id", config.model.name},
                       {"object", "model"},
                       {"created", 0},
                       {"owned_by", "flashblock"},
                       {"defaults",
                        {{"size", std::to_string(config.width) + "x" + std::to_string(config.height)},
                         {"seconds", seconds},
                         {"fps", config.fps}}},
                       {"limits",
                        {{"seconds", limits.seconds},
                         {"pixels", limits.pixels},
                         {"prompt_characters", limits.prompt_characters},
                         {"prompts", limits.prompts}}}}});
}

void create_video(const VideoService& service, const HttpRequest& request, HttpResponse& response) {
  if (!service.planner) {
    throw ApiError({409, "preview", "this server shows one video and renders no others"});
  }
  send_json(response, object(service.catalog.add(service.planner->plan(document_of(request)))));
}

void send_content(const VideoService& service, const HttpRequest& request, HttpResponse& response) {
  const Video video = service.catalog.get(request.path_parameter("id")).video;
  const std::string variant = request.query_parameter("variant").value_or("video");
  const auto known = kVariants.find(variant);
  if (known == kVariants.end()) {
    throw ApiError({400, "invalid_value", "variant: wanted video, thumbnail or spritesheet", "variant"});
  }
  if (!is_final(video.status)) {
    throw ApiError({409, "not_ready", "the video is not finished: it is " + to_string(video.status)});
  }
  const Variant& kind = known->second;
  if (!service.folder && variant != "video") throw ApiError({404, "no_file", "a preview has no " + variant});
  if (const auto download = request.query_parameter("download")) {
    if (*download != "1") throw ApiError({400, "invalid_value", "download: wanted 1", "download"});
    response.set_header("Content-Disposition", "attachment; filename=\"" + video.id + kind.extension + "\"");
  }
  send_file(service.folder ? (service.folder->*kind.file)(video.id) : service.video, kind.type, request, response);
}

}  // namespace

void add_video_routes(HttpServer& server, const VideoService& service) {
  server.route("GET", "/v1/models",
               [service, models = model_list(service)](const HttpRequest&, HttpResponse& response) {
                 send_json(response, models_object(service, models));
               });
  server.route("GET", "/v1/videos", [service](const HttpRequest& request, HttpResponse& response) {
    send_json(response, page_object(service.catalog.list(page_query(request))));
  });
  server.route("POST", "/v1/videos", [service](const HttpRequest& request, HttpResponse& response) {
    create_video(service, request, response);
  });
  server.route("GET", "/v1/videos/{id}", [service](const HttpRequest& request, HttpResponse& response) {
    send_json(response, object(service.catalog.get(request.path_parameter("id"))));
  });
  server.route("GET", "/v1/videos/{id}/content", [service](const HttpRequest& request, HttpResponse& response) {
    send_content(service, request, response);
  });
  server.route("POST", "/v1/videos/{id}/cancel", [service](const HttpRequest& request, HttpResponse& response) {
    if (!service.planner)
      throw ApiError({409, "preview", "this server only shows the video; it cannot stop or delete it"});
    send_json(response, object(service.catalog.cancel(request.path_parameter("id"))));
  });
  server.route("POST", "/v1/videos/{id}/prompt", [service](const HttpRequest& request, HttpResponse& response) {
    const nlohmann::json document = document_of(request);
    if (!document.is_object() || document.size() != 1 || !document.contains("prompt")) {
      throw ApiError({400, "invalid_value", "wanted an object with the key prompt and no others"});
    }
    const std::string prompt = checked_prompt(document.at("prompt"), VideoLimits{}.prompt_characters);
    send_json(response, object(service.catalog.change_prompt(request.path_parameter("id"), prompt)));
  });
  server.route("DELETE", "/v1/videos/{id}", [service](const HttpRequest& request, HttpResponse& response) {
    const std::string id = request.path_parameter("id");
    if (!service.planner)
      throw ApiError({409, "preview", "this server only shows the video; it cannot stop or delete it"});
    service.catalog.remove(id);
    service.streams.remove(id);
    send_json(response, {{"id", id}, {"object", "video.deleted"}, {"deleted", true}});
  });
}

}  // namespace flashblock
