#include "batch/batch_report.h"

#include <array>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "batch/job_preview.h"
#include "core/atomic_file.h"
#include "core/error.h"
#include "core/html_page.h"
#include "core/output_path.h"
#include "render/sidecar.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// FILE:LINE at the beginning of a text, as {file, line}.
Json place_json(const std::string& text) {
  const size_t colon = text.rfind(':');
  return {{"file", text.substr(0, colon)}, {"line", std::stoll(text.substr(colon + 1))}};
}

/// Where the fault is: the place that its message begins with, or that of the video.
std::string fault_place(const BatchVideo& video, const JobFault& fault) {
  const std::string file = video.place.substr(0, video.place.rfind(':') + 1);
  const size_t end = fault.message.find_first_not_of("0123456789", file.size());
  const bool is_placed = fault.message.starts_with(file) && end > file.size();
  return is_placed ? fault.message.substr(0, end) : video.place;
}

Json video_json(const BatchVideo& video, const JobStatus& record) {
  Json json = {{"name", video.name}, {"job", video.job}, {"place", place_json(video.place)}};
  json.update(to_json(record));
  json.erase("changed_ms");
  if (record.fault) json["error"].update(place_json(fault_place(video, *record.fault)));
  if (video.config.output.empty()) return json;  // a job that could not be read
  const RenderConfig published = published_config(video.config);
  json["prompt"] = published.prompt;
  json["timeline"] = Json::array();
  for (const PromptChange& change : published.timeline) {
    json["timeline"].push_back({{"at", change.seconds}, {"prompt", change.prompt}});
  }
  json["warnings"] = published.metadata ? video.warnings : std::vector<std::string>();  // they quote prompts
  json["seed"] = published.seed.value_or(0);
  json["model"] = published.model.name;
  json["width"] = published.width;
  json["height"] = published.height;
  json["fps"] = published.fps;
  json["duration_seconds"] = static_cast<double>(video.frames) / static_cast<double>(published.fps);
  return json;
}

fs::path page_of(fs::path report) { return report.replace_extension(".html"); }

std::string read_bytes(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

/// Whether a file is a page of some batch.
bool is_batch_page(const fs::path& file) {
  constexpr size_t kHead = 4096;
  return fs::is_regular_file(file) &&
         read_bytes(file).substr(0, kHead).find("<title>flashblock batch</title>") != std::string::npos;
}

}  // namespace

BatchCounts count_states(const std::vector<JobStatus>& records) {
  using Counter = int64_t BatchCounts::*;
  constexpr std::array<Counter, 6> kCounters = {// in the order of JobState
                                                &BatchCounts::waiting, &BatchCounts::running,
                                                &BatchCounts::running, &BatchCounts::done,
                                                &BatchCounts::failed,  &BatchCounts::interrupted};
  BatchCounts counts{.videos = static_cast<int64_t>(records.size())};
  for (const JobStatus& record : records) ++(counts.*kCounters[static_cast<size_t>(record.state)]);
  return counts;
}

Json report_json(const BatchAccount& account) {
  const BatchCounts counts = count_states(account.records);
  Json videos = Json::array();
  double duration = 0, seconds = 0;
  for (size_t i = 0; i < account.videos.size(); ++i) {
    videos.push_back(video_json(account.videos[i], account.records[i]));
    seconds += account.records[i].seconds;
    if (account.records[i].state == JobState::kDone) duration += videos.back().value("duration_seconds", 0.0);
  }
  return {{"program", "flashblock " FLASHBLOCK_VERSION},
          {"jobs_file", fs::proximate(account.jobs_file, account.report.parent_path()).string()},
          {"updated", utc_now()},
          {"counts",
           {{"videos", counts.videos},
            {"done", counts.done},
            {"failed", counts.failed},
            {"running", counts.running},
            {"interrupted", counts.interrupted},
            {"waiting", counts.waiting}}},
          {"totals", {{"duration_seconds", duration}, {"seconds", seconds}}},
          {"videos", videos}};
}

Json report_page_json(const BatchAccount& account, size_t embedded_bytes) {
  static_assert(kPreviewFrames == 10, "steps(10) in report.html");
  const fs::path folder = account.report.parent_path();
  Json json = report_json(account);
  for (size_t i = 0; i < account.videos.size(); ++i) {
    if (account.records[i].state != JobState::kDone) continue;
    json["videos"][i]["file"] = fs::proximate(account.videos[i].config.output, folder).string();
    const fs::path preview = account.folder.preview_file(account.videos[i].name);
    std::error_code missing;
    const size_t bytes = fs::file_size(preview, missing);
    if (missing || bytes == 0) continue;
    const bool embedded = bytes <= embedded_bytes;
    if (embedded) embedded_bytes -= bytes;
    json["videos"][i]["preview"] =
        embedded ? data_uri("image/jpeg", read_bytes(preview)) : fs::proximate(preview, folder).string();
  }
  return json;
}

Reporter::Reporter(const std::filesystem::path& jobs_file, const std::filesystem::path& report,
                   const std::vector<BatchVideo>& videos, const BatchFolder& folder)
    : jobs_file_(fs::absolute(jobs_file).lexically_normal()),
      given_(report.empty() ? report : fs::absolute(report).lexically_normal()),
      report_(choose_report()),
      videos_(videos),
      folder_(folder) {
  check_folder_is_writable(report_.parent_path(), {.key = "report"});
}

bool Reporter::may_write(const fs::path& report) const {
  const fs::path page = page_of(report);
  if (fs::exists(page) && !is_batch_page(page)) return false;
  if (!fs::exists(report)) return true;
  std::ifstream stream(report);
  const Json old = fs::is_regular_file(report) ? Json::parse(stream, nullptr, /*allow_exceptions=*/false) : Json();
  const Json owner = old.is_object() && old.contains("counts") ? old.value("jobs_file", Json()) : Json();
  if (!owner.is_string()) return false;
  const fs::path file = (report.parent_path() / owner.get<std::string>()).lexically_normal();
  return file == jobs_file_ || !fs::exists(file);
}

fs::path Reporter::choose_report() const {
  const std::vector<fs::path> places =
      given_.empty() ? std::vector{jobs_file_.parent_path() / "report.json", batch_stem(jobs_file_) += ".report.json"}
                     : std::vector{given_};
  for (const fs::path& place : places)
    if (may_write(place)) return place;
  throw ConfigError(places.back().string() + " or " + page_of(places.back()).filename().string() +
                        " exists and is not the report of " + jobs_file_.string() + "; remove it",
                    {.key = "report", .remedies = {{"choose another name", "report", ""}}});
}

std::filesystem::path Reporter::page() const { return page_of(report_); }

void Reporter::write_in_passing() {
  if (stale_ && Clock::now() >= next_) write();
}

void Reporter::write() {
  const auto start = Clock::now();
  next_ = start + std::chrono::seconds(1);
  const FileLock lock = FileLock::wait(folder_.report_lock());
  std::vector<JobStatus> records;
  for (const BatchVideo& video : videos_) {
    records.push_back(folder_.read(video.name));
    records.back().output = video.config.output.string();  // its folder may have been moved since
  }
  report_ = choose_report();
  const BatchAccount account{jobs_file_, report_, videos_, records, folder_};
  write_file_atomically(report_, json_text(report_json(account), 2));
  write_page(page(), batch_page(), report_page_json(account));
  stale_ = false;
  // The page of hundreds of videos is many megabytes.
  next_ = Clock::now() + std::max<Clock::duration>(std::chrono::seconds(1), 20 * (Clock::now() - start));
}

}  // namespace flashblock
