#include "batch/job_status.h"

#include <array>
#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>

namespace flashblock {
namespace {

constexpr std::array<const char*, 6> kStates = {"waiting", "running", "elsewhere", "done", "failed", "interrupted"};

}  // namespace

std::string to_string(JobState state) { return kStates[static_cast<size_t>(state)]; }

std::string fault_kind(int status) {
  constexpr std::array<const char*, 6> kKinds = {"", "internal", "configuration", "model", "memory", "media"};
  return status > 0 && status < static_cast<int>(kKinds.size()) ? kKinds[static_cast<size_t>(status)] : "internal";
}

nlohmann::ordered_json to_json(const JobStatus& record) {
  nlohmann::ordered_json json = {{"state", to_string(record.state)},
                                 {"attempts", record.attempts},
                                 {"block", record.block},
                                 {"blocks", record.blocks},
                                 {"frames", record.frames},
                                 {"seconds", record.seconds},
                                 {"begun", record.begun},
                                 {"ended", record.ended}};
  if (record.state == JobState::kRunning) {
    json["stage"] = record.stage;
    json["frames_per_second"] = record.frames_per_second;
    json["eta_seconds"] = record.seconds_left;
  }
  json["error"] = nullptr;
  if (record.fault) {
    json["error"] = {
        {"kind", record.fault->kind}, {"status", record.fault->status}, {"message", record.fault->message}};
  }
  json["output"] = record.output;
  json["changed_ms"] = record.changed_ms;
  return json;
}

JobStatus job_status_from_json(const nlohmann::ordered_json& json) {
  JobStatus record;
  const std::string state = json.at("state").get<std::string>();
  for (size_t i = 0; i < kStates.size(); ++i) {
    if (state == kStates[i]) record.state = static_cast<JobState>(i);
  }
  json.at("attempts").get_to(record.attempts);
  json.at("block").get_to(record.block);
  json.at("blocks").get_to(record.blocks);
  json.at("frames").get_to(record.frames);
  json.at("seconds").get_to(record.seconds);
  json.at("begun").get_to(record.begun);
  json.at("ended").get_to(record.ended);
  json.at("output").get_to(record.output);
  json.at("changed_ms").get_to(record.changed_ms);
  record.stage = json.value("stage", "");
  record.frames_per_second = json.value("frames_per_second", 0.0);
  record.seconds_left = json.value("eta_seconds", 0.0);
  if (const auto& error = json.at("error"); !error.is_null()) {
    record.fault = {error.at("kind").get<std::string>(), error.at("status").get<int>(),
                    error.at("message").get<std::string>()};
  }
  return record;
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace flashblock
