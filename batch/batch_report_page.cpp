// The gallery, report.html.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "analysis/html_page.h"
#include "batch/batch_report.h"
#include "batch/job_preview.h"
#include "render/pace.h"
#include "render/sidecar.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

// The preview is a row of frames, each as large as the frame: moving it by whole frames plays it.
constexpr const char* kStyle = R"css(<style>
main { max-width: 1360px; }
.gauge { display: flex; gap: 2px; height: 10px; border-radius: 5px; overflow: hidden; background: var(--line); margin: 1.4rem 0 .7rem; }
.gauge i { display: block; min-width: 3px; }
.done { --mark: var(--good); } .failed { --mark: var(--bad); } .running, .elsewhere { --mark: var(--c1); } .interrupted { --mark: var(--c2); } .waiting { --mark: var(--soft); }
.gauge i, .state::before { background: var(--mark); }
.gallery { display: grid; gap: 22px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 300px), 1fr)); align-items: start; margin: 1.4rem 0; }
.video { content-visibility: auto; contain-intrinsic-size: auto 300px; display: flex; flex-direction: column; background: var(--card); border: 1px solid var(--line); border-radius: 14px; overflow: hidden; }
.video > a { display: block; position: relative; background: #18181a; aspect-ratio: var(--shape, 16 / 9); overflow: hidden; }
.video img { display: block; width: 100%; height: 100%; object-fit: cover; object-position: 0 0; }
@media (prefers-reduced-motion: no-preference) { .video img { animation: play 4s steps(10, jump-none) infinite; } }
@keyframes play { to { object-position: 100% 0; } }
.video a::after { content: attr(data-length); position: absolute; right: 8px; bottom: 8px; padding: 1px 7px; border-radius: 6px; background: #000a; color: #fff; font-size: .76rem; font-variant-numeric: tabular-nums; }
.video a:focus-visible { outline: 3px solid var(--c1); outline-offset: -3px; }
.text { padding: 14px 16px 16px; display: flex; flex-direction: column; gap: .5rem; flex: 1; min-width: 0; }
.text header { display: flex; gap: .8rem; justify-content: space-between; align-items: baseline; }
.text h3 { margin: 0; font-size: 1rem; overflow-wrap: anywhere; }
.state { color: var(--soft); font-size: .82rem; white-space: nowrap; }
.state::before { content: ""; display: inline-block; width: .62em; height: .62em; border-radius: 50%; margin-right: .45em; }
.text p { margin: 0; font-size: .93rem; overflow-wrap: anywhere; }
.text ol { margin: 0; padding: 0; list-style: none; font-size: .88rem; }
.text ol li { padding: .15rem 0; } .text ol b { color: var(--soft); font-weight: 500; font-variant-numeric: tabular-nums; margin-right: .5em; }
.text .facts { margin: auto 0 0; padding-top: .3rem; gap: .15rem 1rem; font-size: .82rem; font-variant-numeric: tabular-nums; }
.fault { border-left: 3px solid var(--bad); padding: .1rem 0 .1rem .7rem; font: .82rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.bar { height: 4px; border-radius: 2px; background: var(--line); overflow: hidden; } .bar i { display: block; height: 100%; background: var(--c1); }
</style>
)css";

std::string read_bytes(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

/// A file's place as a link from the report's folder: everything that is not plain is escaped, percent by percent.
std::string link_to(const fs::path& file, const fs::path& folder) {
  std::string link;
  for (const char c : fs::proximate(file, folder).string()) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = std::isalnum(byte) != 0 || std::string_view("/-_.~").find(c) != std::string_view::npos;
    char escaped[8];
    std::snprintf(escaped, sizeof escaped, plain ? "%c" : "%%%02X", byte);
    link += escaped;
  }
  return fs::path(link).is_relative() ? "./" + link : link;
}

std::string fact(const std::string& name, const std::string& value) {
  return "<li>" + name + " <b>" + html_escape(value) + "</b></li>";
}

std::string length_of(const JobStatus& record, const RenderConfig& config) {
  return clock_text(static_cast<double>(record.frames) / static_cast<double>(config.fps));
}

std::string frame(const BatchVideo& video, const JobStatus& record, const BatchAccount& account) {
  const RenderConfig& config = video.config;
  if (record.state != JobState::kDone) return "";
  const std::string shape = "--shape:" + std::to_string(config.width) + "/" + std::to_string(config.height);
  const std::string jpeg = read_bytes(account.folder.preview_file(video.name));
  std::string html = "<a style=\"" + shape + "\" href=\"" + link_to(config.output, account.report.parent_path()) +
                     "\" data-length=\"" + length_of(record, config) + "\">";
  if (!jpeg.empty()) {
    html += "<img alt=\"Frames of the video " + html_escape(video.name) + "\" decoding=\"async\" src=\"" +
            data_uri("image/jpeg", jpeg) + "\">";
  }
  return html + "</a>";
}

std::string prompts(const RenderConfig& config) {
  const RenderConfig told = told_config(config);
  std::string html;
  if (!told.prompt.empty()) html += "<p>" + html_escape(told.prompt) + "</p>";
  if (told.timeline.empty()) return html;
  html += "<ol>";
  for (const PromptChange& change : told.timeline) {
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, "%g s", change.seconds);
    html += "<li><b>" + std::string(seconds) + "</b>" + html_escape(change.prompt) + "</li>";
  }
  return html + "</ol>";
}

std::string progress_bar(const JobStatus& record) {
  const int64_t percent = record.blocks == 0 ? 0 : 100 * record.block / record.blocks;
  return "<div class=\"bar\"><i style=\"width:" + std::to_string(percent) + "%\"></i></div>";
}

std::string facts(const BatchVideo& video, const JobStatus& record) {
  std::string html = "<ul class=\"facts\">";
  if (video.config.seed) html += fact("seed", std::to_string(*video.config.seed));
  html += fact("size", std::to_string(video.config.width) + "×" + std::to_string(video.config.height));
  if (record.seconds > 0) html += fact("took", clock_text(record.seconds));
  if (record.attempts > 1) html += fact("attempts", std::to_string(record.attempts));
  return html + "</ul>";
}

std::string card(const BatchVideo& video, const JobStatus& record, const BatchAccount& account) {
  const std::string state = to_string(record.state);
  const bool known = !video.config.output.empty();
  std::string html = "<article class=\"video\">" + (known ? frame(video, record, account) : "") +
                     "<div class=\"text\"><header><h3>" + html_escape(video.name) + "</h3><span class=\"state " +
                     state + "\">" + state + "</span></header>";
  if (record.fault && record.state != JobState::kDone) {
    html += "<p class=\"fault\">" + html_escape(record.fault->message) + "</p>";
  }
  if (record.state == JobState::kRunning || record.state == JobState::kInterrupted) html += progress_bar(record);
  if (known) html += prompts(video.config) + facts(video, record);
  return html + "</div></article>\n";
}

std::string gauge(const BatchCounts& counts) {
  std::string html = "<div class=\"gauge\">";
  const auto part = [&](const char* state, int64_t videos) {
    if (videos > 0)
      html += "<i class=\"" + std::string(state) + "\" style=\"flex:" + std::to_string(videos) + "\"></i>";
  };
  part("done", counts.done);
  part("failed", counts.failed);
  part("running", counts.running);
  part("interrupted", counts.interrupted);
  return html + (counts.waiting > 0 ? "<span style=\"flex:" + std::to_string(counts.waiting) + "\"></span>" : "") +
         "</div>";
}

std::string summary(const BatchAccount& account, const BatchCounts& counts) {
  const auto videos = [](int64_t count) { return std::to_string(count) + (count == 1 ? " video" : " videos"); };
  std::string html = "<p class=\"kicker\">flashblock batch</p><h1>" + std::to_string(counts.done) + " of " +
                     videos(counts.videos) + " done</h1>" + gauge(counts) + "<ul class=\"facts\">";
  html += fact("jobs", account.jobs_file.filename().string());
  if (counts.failed > 0) html += fact("failed", std::to_string(counts.failed));
  if (counts.running > 0) html += fact("running", std::to_string(counts.running));
  if (counts.interrupted > 0) html += fact("interrupted", std::to_string(counts.interrupted));
  if (counts.waiting > 0) html += fact("to do", std::to_string(counts.waiting));
  std::string now = utc_now();  // 2026-01-31T23:59:59Z
  now.replace(10, 1, " ").replace(16, std::string::npos, " UTC");
  return html + fact("as of", now) + "</ul>";
}

/// What needs a person comes first, then what is there, then what is to come.
int rank(JobState state) {
  switch (state) {
    case JobState::kFailed:
      return 0;
    case JobState::kRunning:
    case JobState::kElsewhere:
      return 1;
    case JobState::kInterrupted:
      return 2;
    case JobState::kDone:
      return 3;
    case JobState::kWaiting:
      break;
  }
  return 4;
}

}  // namespace

std::string report_page(const BatchAccount& account) {
  static_assert(kPreviewFrames == 10, "steps(10) in the style sheet");
  constexpr const char* kTitles[] = {"Failed", "Being rendered", "Interrupted", "Videos", "To do"};
  const BatchCounts counts = count_states(account.records);
  std::string body = summary(account, counts);
  for (int section = 0; section < static_cast<int>(std::size(kTitles)); ++section) {
    std::string cards;
    for (size_t i = 0; i < account.videos.size(); ++i) {
      if (rank(account.records[i].state) == section) cards += card(account.videos[i], account.records[i], account);
    }
    if (!cards.empty()) {
      body += "<h2>" + std::string(kTitles[section]) + "</h2>\n<div class=\"gallery\">\n" + cards + "</div>\n";
    }
  }
  std::string head = kStyle;
  if (counts.running > 0) head += "<meta http-equiv=\"refresh\" content=\"30\">\n";
  return html_page(account.jobs_file.stem().string() + ": flashblock batch", body, head);
}

}  // namespace flashblock
