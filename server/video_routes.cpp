#include "server/video_routes.h"

#include <map>
#include <nlohmann/json.hpp>

#include "core/html_page.h"
#include "core/parse_number.h"
#include "core/plain_text.h"
#include "render/render_setup.h"
#include "server/api_error.h"
#include "server/file_answer.h"
#include "server/form_data.h"
#include "server/request_json.h"
#include "settings/config_file.h"

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

Json object(const VideoService& service, const ListedVideo& listed) {
  return video_object(listed.video, listed.queue_position, service.signer->query(listed.video.id));
}

/// The request's body as JSON; a form's fields as the members of an object.
nlohmann::json document_of(const HttpRequest& request) {
  const std::string type = request.header("Content-Type");
  if (has_media_type(type, "application/json")) return parse_request_json(request.body);
  if (!is_form(type)) {
    throw ApiError({415, "content_type", "send the body as application/json or multipart/form-data"});
  }
  nlohmann::json document = nlohmann::json::object();
  for (const FormPart& part : parse_form(type, request.body)) {
    if (part.is_file) throw ApiError({400, "invalid_value", "files are not accepted here", part.name});
    if (document.contains(part.name)) {
      throw ApiError({400, "invalid_form", part.name + ": the field is given twice", part.name});
    }
    for (const std::string& text : {part.name, part.content}) {
      if (const std::string fault = text_fault(text); !fault.empty())
        throw ApiError({400, "invalid_value", "a field of the form " + fault});
    }
    document[part.name] = part.content;
  }
  return document;
}

VideoPageQuery page_query(const HttpRequest& request) {
  VideoPageQuery query;
  if (const auto limit = request.query_parameter("limit")) {
    query.limit = parse_number<size_t>(*limit).value_or(0);
    if (query.limit < 1 || query.limit > kMostListed) {
      refuse_value("limit", "a whole number from 1 to " + std::to_string(kMostListed));
    }
  }
  query.after = request.query_parameter("after").value_or("");
  if (query.after.empty() && request.query_parameter("after")) refuse_value("after", "the id of a video");
  const std::string order = request.query_parameter("order").value_or("desc");
  if (order != "asc" && order != "desc") refuse_value("order", "asc or desc");
  query.newest_first = order == "desc";
  return query;
}

Json page_object(const VideoService& service, const VideoPage& page) {
  Json data = Json::array();
  for (const ListedVideo& listed : page.videos) data.push_back(object(service, listed));
  const bool empty = page.videos.empty();
  return {{"object", "list"},
          {"data", data},
          {"first_id", empty ? Json() : Json(page.videos.front().video.id)},
          {"last_id", empty ? Json() : Json(page.videos.back().video.id)},
          {"has_more", page.has_more}};
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

/// Fails a request that is only for servers that render videos on demand.
void require_planner(const VideoService& service, const char* otherwise) {
  if (!service.planner) throw ApiError({409, "preview", otherwise});
}
constexpr const char* kShowsOnly = "this server only shows the video; it cannot stop or delete it";

std::string requested_prompt(const HttpRequest& request) {
  const nlohmann::json document = document_of(request);
  if (!document.is_object() || document.size() != 1 || !document.contains("prompt")) {
    throw ApiError({400, "invalid_value", "wanted an object with the key prompt and no others"});
  }
  return checked_prompt(document.at("prompt"), VideoLimits{}.prompt_characters);
}

/// red-balloon-drifts-1628904661, for a file's name.
std::string download_name(const Video& video) {
  const std::string seed = std::to_string(video.seed);
  const std::string file = default_video_name(video.seed, first_prompt(video));  // flashblock-SEED-WORDS.mp4
  const size_t before = std::string("flashblock-").size() + seed.size();
  const std::string words = std::filesystem::path(file.substr(before)).stem();
  return words.size() < 2 ? "video-" + seed : words.substr(1) + "-" + seed;
}

void send_content(const VideoService& service, const HttpRequest& request, HttpResponse& response) {
  const Video video = service.catalog.get(request.path_parameter("id")).video;
  const std::string variant = request.query_parameter("variant").value_or("video");
  const auto known = kVariants.find(variant);
  if (known == kVariants.end()) refuse_value("variant", "video, thumbnail or spritesheet");
  if (!is_final(video.status) && !video.progress.hold) {
    throw ApiError({409, "not_ready", "the video is not finished: it is " + to_string(video.status)});
  }
  const Variant& kind = known->second;
  if (!service.folder && variant != "video") throw ApiError({404, "no_file", "a preview has no " + variant});
  if (const auto download = request.query_parameter("download")) {
    if (*download != "1") refuse_value("download", "1");
    response.set_header("Content-Disposition", attachment_header(download_name(video) + kind.extension));
  }
  std::vector<std::filesystem::path> files = {service.folder ? (service.folder->*kind.file)(video.id) : service.video};
  // What there is of a video that is not complete is its segments.
  if (service.folder && variant == "video" && !std::filesystem::exists(files.front())) {
    files = service.folder->unfinished(video.id).files;
  }
  send_files(files, kind.type, request, response);
}

}  // namespace

void add_video_routes(HttpServer& server, const VideoService& service) {
  /// Adds a route whose handler returns a JSON document.
  const auto add = [&](const char* method, const char* pattern, auto handler) {
    server.route(method, pattern, [handler](const HttpRequest& request, HttpResponse& response) {
      response.set_content(json_text(handler(request), -1), "application/json");
    });
  };
  const auto id_of = [](const HttpRequest& request) { return request.path_parameter("id"); };
  const Json models = model_list(service);
  add("GET", "/v1/models", [service, models](const auto&) -> Json {
    return {{"object", "list"}, {"mode", service.planner ? "serve" : "preview"}, {"data", models}};
  });
  add("GET", "/v1/models/{id...}", [models](const auto& request) -> Json {
    for (const Json& model : models) {
      if (model.at("id") == request.path_parameter("id")) return model;
    }
    throw ApiError({404, "model_not_found", "there is no model with this name", "model"});
  });
  add("GET", "/v1/videos",
      [service](const auto& request) { return page_object(service, service.catalog.list(page_query(request))); });
  add("POST", "/v1/videos", [service](const auto& request) {
    require_planner(service, "this server shows one video and renders no others");
    return object(service, service.catalog.add(service.planner->plan(document_of(request))));
  });
  add("POST", "/v1/timelines", [service](const auto& request) {
    require_planner(service, "this server shows one video and writes no prompts");
    return service.planner->write_timeline(document_of(request));
  });
  add("GET", "/v1/videos/{id}",
      [=](const auto& request) { return object(service, service.catalog.get(id_of(request))); });
  server.route("GET", "/v1/videos/{id}/content",
               [service](const auto& request, auto& response) { send_content(service, request, response); });
  add("POST", "/v1/videos/{id}/cancel", [=](const auto& request) {
    require_planner(service, kShowsOnly);
    return object(service, service.catalog.cancel(id_of(request)));
  });
  add("POST", "/v1/videos/{id}/prompt", [=](const auto& request) {
    const std::string prompt = requested_prompt(request);
    const auto changed = service.catalog.change_prompt(id_of(request), prompt);
    Json video = object(service, changed);
    if (service.planner) video["warnings"] = service.planner->warnings_of(prompt, changed.video.choices);
    return video;
  });
  add("DELETE", "/v1/videos/{id}", [=](const auto& request) -> Json {
    require_planner(service, kShowsOnly);
    const bool waits = service.catalog.get(id_of(request)).video.progress.hold.has_value();
    service.catalog.remove(id_of(request));
    if (waits) service.streams.finish(id_of(request));
    service.streams.remove(id_of(request));
    return {{"id", id_of(request)}, {"object", "video.deleted"}, {"deleted", true}};
  });
}

}  // namespace flashblock
