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

std::string job_error_line(const ErrorReport& report) {
  return error_line(report.message, report.remedies,
                    [](const Remedy& remedy) { return remedy.key == "resume" ? std::string() : yaml_setting(remedy); });
}

nlohmann::ordered_json to_json(const JobStatus& status) {
  nlohmann::ordered_json json = {
      {"state", to_string(status.state)}, {"attempts", status.attempts}, {"block", status.block},
      {"blocks", status.blocks},          {"frames", status.frames},     {"seconds", status.seconds},
      {"started", status.started},        {"ended", status.ended}};
  if (status.state == JobState::kRunning) {
    json["stage"] = status.stage;
    json["frames_per_second"] = status.frames_per_second;
    json["eta_seconds"] = status.seconds_left;
  }
  json["error"] = nullptr;
  if (status.fault) {
    json["error"] = {{"kind", status.fault->kind},
                     {"status", status.fault->status},
                     {"message", status.fault->message},
                     {"more", status.fault->more}};
  }
  json["output"] = status.output;
  json["changed_ms"] = status.changed_ms;
  return json;
}

JobStatus job_status_from_json(const nlohmann::ordered_json& json) {
  JobStatus status;
  const std::string state = json.at("state").get<std::string>();
  for (size_t i = 0; i < kStates.size(); ++i) {
    if (state == kStates[i]) status.state = static_cast<JobState>(i);
  }
  const auto read = [&](const char* name, auto& field) { json.at(name).get_to(field); };
  read("attempts", status.attempts), read("block", status.block), read("blocks", status.blocks);
  read("frames", status.frames), read("seconds", status.seconds), read("changed_ms", status.changed_ms);
  read("started", status.started), read("ended", status.ended), read("output", status.output);
  status.stage = json.value("stage", "");
  status.frames_per_second = json.value("frames_per_second", 0.0);
  status.seconds_left = json.value("eta_seconds", 0.0);
  if (const auto& error = json.at("error"); !error.is_null()) {
    status.fault = {error.at("kind").get<std::string>(), error.at("status").get<int>(),
                    error.at("message").get<std::string>(), error.value("more", std::vector<std::string>())};
  }
  return status;
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
