#include "batch/worker_messages.h"

#include <nlohmann/json.hpp>

#include "core/html_page.h"
#include "settings/config_file.h"

namespace flashblock {
NLOHMANN_JSON_SERIALIZE_ENUM(WorkerEvent::Kind, {{WorkerEvent::Kind::kProgress, "progress"},
                                                 {WorkerEvent::Kind::kStage, "stage"},
                                                 {WorkerEvent::Kind::kDone, "done"},
                                                 {WorkerEvent::Kind::kStopped, "stopped"},
                                                 {WorkerEvent::Kind::kFailed, "failed"}})

std::string to_line(const WorkerJob& job) {
  return json_text({{"name", job.name},
                    {"attempt", job.attempt},
                    {"configuration", config_json(job.config)},
                    {"preview", job.preview.string()}},
                   -1);
}

WorkerJob parse_worker_job(const std::string& line) {
  const auto json = nlohmann::ordered_json::parse(line);
  return {.name = json.at("name"),
          .attempt = json.at("attempt"),
          .config = resolve_config({make_config_layer("the job", json.at("configuration"))}),
          .preview = json.at("preview").get<std::string>()};
}

std::string to_line(const WorkerEvent& event) {
  return json_text({{"event", event.kind},
                    {"stage", event.stage},
                    {"block", event.progress.block},
                    {"blocks", event.progress.blocks},
                    {"frames", event.progress.frames},
                    {"status", event.status},
                    {"message", event.message}},
                   -1);
}

WorkerEvent parse_worker_event(const std::string& line) {
  const auto json = nlohmann::ordered_json::parse(line);
  return {.kind = json.at("event"),
          .stage = json.at("stage"),
          .progress = {.block = json.at("block"), .blocks = json.at("blocks"), .frames = json.at("frames")},
          .status = json.at("status"),
          .message = json.at("message")};
}

}  // namespace flashblock
