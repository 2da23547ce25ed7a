// The gallery, report.html.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "app/batch/film_preview.h"
#include "app/batch/report.h"
#include "app/html/page.h"
#include "app/progress.h"
#include "app/sidecar.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

// The preview is a row of pictures, each as large as the frame: moving it by whole pictures plays it.
constexpr const char* kStyle = R"css(<style>
main { max-width: 1360px; }
.gauge { display: flex; gap: 2px; height: 10px; border-radius: 5px; overflow: hidden; background: var(--line); margin: 1.4rem 0 .7rem; }
.gauge i { display: block; min-width: 3px; }
.done { --mark: var(--good); } .failed { --mark: var(--bad); } .running, .elsewhere { --mark: var(--c1); } .interrupted { --mark: var(--c2); } .waiting { --mark: var(--soft); }
.gauge i, .state::before { background: var(--mark); }
.gallery { display: grid; gap: 22px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 300px), 1fr)); align-items: start; margin: 1.4rem 0; }
.film { content-visibility: auto; contain-intrinsic-size: auto 300px; display: flex; flex-direction: column; background: var(--card); border: 1px solid var(--line); border-radius: 14px; overflow: hidden; }
.film > a { display: block; position: relative; background: #18181a; aspect-ratio: var(--shape, 16 / 9); overflow: hidden; }
.film img { display: block; width: 100%; height: 100%; object-fit: cover; object-position: 0 0; }
@media (prefers-reduced-motion: no-preference) { .film img { animation: play 4s steps(10, jump-none) infinite; } }
@keyframes play { to { object-position: 100% 0; } }
.film a::after { content: attr(data-length); position: absolute; right: 8px; bottom: 8px; padding: 1px 7px; border-radius: 6px; background: #000a; color: #fff; font-size: .76rem; font-variant-numeric: tabular-nums; }
.film a:focus-visible { outline: 3px solid var(--c1); outline-offset: -3px; }
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

std::string length_of(const FilmRecord& record, const RenderConfig& config) {
  return clock_text(static_cast<double>(record.pictures) / static_cast<double>(config.fps));
}

std::string picture(const BatchFilm& film, const FilmRecord& record, const BatchAccount& account) {
  const RenderConfig& config = film.config;
  if (record.state != JobState::kDone) return "";
  const std::string shape = "--shape:" + std::to_string(config.width) + "/" + std::to_string(config.height);
  const std::string jpeg = read_bytes(account.folder.preview_file(film.name));
  std::string html = "<a style=\"" + shape + "\" href=\"" + link_to(config.output, account.report.parent_path()) +
                     "\" data-length=\"" + length_of(record, config) + "\">";
  if (!jpeg.empty()) {
    html += "<img alt=\"Pictures of the film " + html_escape(film.name) + "\" decoding=\"async\" src=\"" +
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

std::string progress_bar(const FilmRecord& record) {
  const int64_t percent = record.blocks == 0 ? 0 : 100 * record.block / record.blocks;
  return "<div class=\"bar\"><i style=\"width:" + std::to_string(percent) + "%\"></i></div>";
}

std::string facts(const BatchFilm& film, const FilmRecord& record) {
  std::string html = "<ul class=\"facts\">";
  if (film.config.seed) html += fact("seed", std::to_string(*film.config.seed));
  html += fact("size", std::to_string(film.config.width) + "×" + std::to_string(film.config.height));
  if (record.seconds > 0) html += fact("took", clock_text(record.seconds));
  if (record.attempts > 1) html += fact("attempts", std::to_string(record.attempts));
  return html + "</ul>";
}

std::string card(const BatchFilm& film, const FilmRecord& record, const BatchAccount& account) {
  const std::string state = to_string(record.state);
  const bool known = !film.config.output.empty();
  std::string html = "<article class=\"film\">" + (known ? picture(film, record, account) : "") +
                     "<div class=\"text\"><header><h3>" + html_escape(film.name) + "</h3><span class=\"state " + state +
                     "\">" + state + "</span></header>";
  if (record.fault && record.state != JobState::kDone) {
    html += "<p class=\"fault\">" + html_escape(record.fault->message) + "</p>";
  }
  if (record.state == JobState::kRunning || record.state == JobState::kInterrupted) html += progress_bar(record);
  if (known) html += prompts(film.config) + facts(film, record);
  return html + "</div></article>\n";
}

std::string gauge(const BatchCounts& counts) {
  std::string html = "<div class=\"gauge\">";
  const auto part = [&](const char* state, int64_t films) {
    if (films > 0) html += "<i class=\"" + std::string(state) + "\" style=\"flex:" + std::to_string(films) + "\"></i>";
  };
  part("done", counts.done);
  part("failed", counts.failed);
  part("running", counts.running);
  part("interrupted", counts.interrupted);
  return html + (counts.waiting > 0 ? "<span style=\"flex:" + std::to_string(counts.waiting) + "\"></span>" : "") +
         "</div>";
}

std::string summary(const BatchAccount& account, const BatchCounts& counts) {
  const auto films = [](int64_t count) { return std::to_string(count) + (count == 1 ? " film" : " films"); };
  std::string html = "<p class=\"kicker\">flashblock batch</p><h1>" + std::to_string(counts.done) + " of " +
                     films(counts.films) + " done</h1>" + gauge(counts) + "<ul class=\"facts\">";
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
  static_assert(kPreviewPictures == 10, "steps(10) in the style sheet");
  constexpr const char* kTitles[] = {"Failed", "Being rendered", "Interrupted", "Films", "To do"};
  const BatchCounts counts = count_states(account.records);
  std::string body = summary(account, counts);
  for (int section = 0; section < static_cast<int>(std::size(kTitles)); ++section) {
    std::string cards;
    for (size_t i = 0; i < account.films.size(); ++i) {
      if (rank(account.records[i].state) == section) cards += card(account.films[i], account.records[i], account);
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
