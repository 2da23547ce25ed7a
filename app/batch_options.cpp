#include "app/batch_options.h"

#include <charconv>

#include "core/error.h"

namespace flashblock {
namespace {

std::optional<int64_t> whole_number(const std::string& text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return number;
}

Shard parse_shard(const std::string& text) {
  const size_t slash = text.find('/');
  const auto index = whole_number(text.substr(0, slash));
  const auto count = slash == std::string::npos ? std::nullopt : whole_number(text.substr(slash + 1));
  if (!index || !count || *index < 1 || *index > *count) {
    throw ConfigError("--shard: found '" + text + "', wanted I/N, part I of N, with I from 1 to N");
  }
  return {*index, *count};
}

BoardStyle parse_board_style(const std::string& name) {
  if (name == "auto") return BoardStyle::kAuto;
  if (name == "table") return BoardStyle::kTable;
  if (name == "lines") return BoardStyle::kLines;
  if (name == "none") return BoardStyle::kNone;
  throw ConfigError("--progress: found '" + name + "', wanted auto, table, lines or none");
}

std::optional<int64_t> parse_workers(const std::string& text) {
  if (text == "auto") return {};
  const auto number = whole_number(text);
  if (!number || *number < 1 || *number > 256) {
    throw ConfigError("--workers: found '" + text + "', wanted auto or a number from 1 to 256");
  }
  return number;
}

}  // namespace

BatchOptions::BatchOptions(CLI::App& app)
    : command_(*app.add_subcommand("batch", "Render many videos from a jobs file")),
      worker_(*app.add_subcommand("batch-worker", "")->group("")) {
  command_.add_option("JOBS.yaml", request_.jobs_file, "The jobs file: see docs/batch.md")->required();
  CLI::Option* status =
      command_.add_flag("--status", status_, "Print the progress of the batch, in whatever run")->group("Actions");
  command_.add_flag("--dry-run", check_, "Check the whole file and list the videos with their output files")
      ->group("Actions")
      ->excludes(status);
  command_.add_option("--shard", shard_, "Render only part I of N, for N runs on several machines")
      ->type_name("I/N")
      ->group("Actions");
  const std::string group = "Run";
  command_.add_option("--workers", workers_, "Videos at the same time: auto is one per GPU, or one on the CPU")
      ->type_name("auto|N")
      ->capture_default_str()
      ->group(group);
  command_
      .add_option("--retries", request_.supervisor.retries,
                  "Further attempts for a video that crashed, hung or ran out of memory")
      ->type_name("N")
      ->check(CLI::Range(0, 100))
      ->capture_default_str()
      ->group(group);
  command_
      .add_option("--block-timeout", request_.supervisor.block_seconds,
                  "A frame block that takes longer counts as a hang: its worker is killed")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.1, 1e6))
      ->capture_default_str()
      ->group(group);
  command_
      .add_option("--report", request_.report,
                  "The report, with a page NAME.html beside it [report.json beside the jobs file]")
      ->type_name("FILE.json")
      ->group(group);
  command_.add_flag("--quiet", request_.quiet, "Print errors only")->group(group);
  command_.add_option("--progress", progress_, "How progress is shown")
      ->type_name("auto|table|lines|none")
      ->capture_default_str()
      ->group(group);
}

std::optional<BatchRequest> BatchOptions::request() {
  if (!command_.parsed()) return {};
  request_.supervisor.workers = parse_workers(workers_);
  if (!shard_.empty()) request_.shard = parse_shard(shard_);
  request_.board = parse_board_style(progress_);
  if (!request_.report.empty() && request_.report.extension() != ".json") {
    throw ConfigError("--report " + request_.report.string() + ": wanted a name that ends in .json");
  }
  if (status_) request_.action = BatchRequest::Action::kStatus;
  if (check_) request_.action = BatchRequest::Action::kCheck;
  return std::move(request_);
}

}  // namespace flashblock
