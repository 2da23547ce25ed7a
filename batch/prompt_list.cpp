#include "batch/prompt_list.h"

#include <algorithm>

#include "core/error.h"
#include "core/plain_text.h"

namespace flashblock {
namespace {

struct CsvRecord {
  int64_t line = 0;
  std::vector<std::string> cells;
};

[[noreturn]] void fail(const std::filesystem::path& file, int64_t line, const std::string& problem) {
  throw ConfigError(file.string() + ":" + std::to_string(line) + ": " + problem);
}

std::string read_file(const std::filesystem::path& file) {
  std::string text = read_text_file(file, "a prompt list, a text or CSV file");
  text.erase(std::remove(text.begin(), text.end(), '\r'), text.end());
  return text;
}

/// Cells between commas, records on lines; a cell in double quotes may hold commas, lines and doubled quotes.
/// Source: RFC 4180, section 2.
class CsvParser {
 public:
  CsvParser(const std::filesystem::path& file, std::string text) : file_(file), text_(std::move(text)) {}

  std::vector<CsvRecord> records() {
    std::vector<CsvRecord> records;
    while (at_ < text_.size()) {
      CsvRecord record{.line = line_};
      do record.cells.push_back(cell());
      while (take(','));
      if (at_ < text_.size() && !take('\n')) fail(file_, line_, "text after a closing quote; wanted a comma");
      const bool empty = record.cells.size() == 1 && record.cells[0].empty();
      if (!empty) records.push_back(std::move(record));
    }
    return records;
  }

 private:
  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    if (c == '\n') ++line_;
    ++at_;
    return true;
  }

  std::string cell() {
    if (take('"')) return quoted_cell();
    const size_t end = std::min(text_.find_first_of(",\n", at_), text_.size());
    std::string cell = text_.substr(at_, end - at_);
    at_ = end;
    return cell;
  }

  std::string quoted_cell() {
    const int64_t first_line = line_;
    for (std::string cell;;) {
      if (at_ >= text_.size()) fail(file_, first_line, "a cell begins with a quote and has no closing quote");
      if (take('"')) {
        if (!take('"')) return cell;
        cell += '"';
      } else {
        cell += text_[at_];
        take(text_[at_]);
      }
    }
  }

  const std::filesystem::path& file_;
  std::string text_;
  size_t at_ = 0;
  int64_t line_ = 1;
};

std::vector<PromptRow> read_csv(const std::filesystem::path& file) {
  const std::vector<CsvRecord> records = CsvParser(file, read_file(file)).records();
  if (records.empty()) fail(file, 1, "the list is empty; wanted a first row that names the columns");
  const std::vector<std::string>& columns = records[0].cells;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].empty()) fail(file, records[0].line, "column " + std::to_string(i + 1) + " has no name");
    if (std::count(columns.begin(), columns.end(), columns[i]) > 1) {
      fail(file, records[0].line, "column " + columns[i] + " appears twice");
    }
  }
  std::vector<PromptRow> rows;
  for (size_t r = 1; r < records.size(); ++r) {
    const CsvRecord& record = records[r];
    if (record.cells.size() != columns.size()) {
      fail(file, record.line,
           "found " + std::to_string(record.cells.size()) + " cells, wanted " + std::to_string(columns.size()) +
               ", as in the first row; text with commas needs double quotes");
    }
    PromptRow row{.line = record.line};
    for (size_t i = 0; i < columns.size(); ++i) {
      if (!record.cells[i].empty()) row.settings.emplace_back(columns[i], record.cells[i]);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<PromptRow> read_lines(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  std::vector<PromptRow> rows;
  int64_t number = 1;
  for (size_t at = 0; at < text.size(); ++number) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    const size_t first = line.find_first_not_of(" \t");
    if (first != std::string::npos && line[first] != '#') {
      rows.push_back({number, {{"prompt", line.substr(first)}}});
    }
    at = end + 1;
  }
  return rows;
}

}  // namespace

std::vector<PromptRow> read_prompt_list(const std::filesystem::path& file) {
  std::vector<PromptRow> rows = file.extension() == ".csv" ? read_csv(file) : read_lines(file);
  if (rows.empty()) throw ConfigError(file.string() + ": the list is empty, wanted prompts");
  return rows;
}

}  // namespace flashblock
