#include "batch/prompt_list.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "core/error.h"
#include "core/file_kind.h"
#include "core/plain_text.h"
#include "settings/settings_table.h"
#include "settings/strict_yaml.h"

namespace flashblock {
namespace {

struct CsvRecord {
  int64_t line = 0;
  std::vector<std::string> cells;
  std::string fault;  // empty: none
};

/// Spreadsheets write empty cells up to the width of the sheet.
std::vector<std::string> without_empty_end(std::vector<std::string> cells) {
  while (!cells.empty() && cells.back().empty()) cells.pop_back();
  return cells;
}

[[noreturn]] void fail(const std::filesystem::path& file, int64_t line, const std::string& problem) {
  throw ConfigError(file.string() + ":" + std::to_string(line) + ": " + problem);
}

std::string lower_case_extension(const std::filesystem::path& file) {
  std::string extension = file.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension;
}

std::string read_file(const std::filesystem::path& file) {
  constexpr const char* kWanted = "a prompt list, a text or CSV file";
  if (const KnownFile found = known_file(file); found.kind != FileKind::kUnknown)
    throw ConfigError(file.string() + " is " + found.words + "; wanted " + kWanted);
  return read_text_file(file, kWanted);
}

/// Cells between separators, records on lines; a cell in double quotes may hold separators, lines and doubled quotes.
/// Blanks around a cell do not belong to it. Source: RFC 4180, section 2, but for the blanks.
class CsvParser {
 public:
  CsvParser(std::string text, char separator) : text_(std::move(text)), separator_(separator) {}

  std::vector<CsvRecord> records() {
    std::vector<CsvRecord> records;
    while (at_ < text_.size()) {
      CsvRecord record{.line = line_};
      do record.cells.push_back(cell(record));
      while (take(separator_));
      if (at_ < text_.size() && !take('\n')) {
        record.fault = "text after a closing quote; wanted a comma";
        skip_line();
      }
      if (!record.fault.empty() || !without_empty_end(record.cells).empty()) records.push_back(std::move(record));
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

  void skip_line() {
    while (at_ < text_.size() && !take('\n')) ++at_;
  }

  void skip_blanks() {
    while (at_ < text_.size() && text_[at_] != separator_ && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
  }

  std::string cell(CsvRecord& record) {
    skip_blanks();
    if (take('"')) return quoted_cell(record);
    const size_t end = std::min(text_.find_first_of(std::string{separator_, '\n'}, at_), text_.size());
    std::string cell = text_.substr(at_, end - at_);
    cell.erase(cell.find_last_not_of(" \t") + 1);
    at_ = end;
    return cell;
  }

  /// Without its closing quote the cell may end anywhere, so that all rows from here on are in doubt.
  std::string quoted_cell(CsvRecord& record) {
    for (std::string cell;;) {
      if (at_ >= text_.size()) {
        record.fault = "a cell begins with a quote and has no closing quote; the rows from here on are left out";
        return cell;
      }
      if (take('"')) {
        if (!take('"')) {
          skip_blanks();
          return cell;
        }
        cell += '"';
      } else {
        const char c = text_[at_];
        cell += c;
        take(c);
      }
    }
  }

  std::string text_;
  char separator_;
  size_t at_ = 0;
  int64_t line_ = 1;
};

/// Whether a cell may set it.
bool is_column(const std::string& name) {
  if (name == "name" || find_setting(name)) return true;
  const auto stands_for_it = [&](const Setting& setting) {
    return setting.traits.stands_for_group && split_key(setting.name).first == name;
  };
  return std::any_of(settings_table().begin(), settings_table().end(), stands_for_it);
}

std::string column_fault(const std::string& column) {
  std::vector<std::string> known = {"name"};
  for (const Setting& setting : settings_table()) known.push_back(setting.name);
  const std::string meant = nearest_word(column, known);
  if (!meant.empty()) return "did you mean " + meant + "?";
  for (const auto& [separator, word] : {std::pair(';', "semicolons"), std::pair('\t', "tabs")}) {
    if (column.find(separator) != column.npos)
      return std::string("the cells are separated by ") + word + ", wanted commas";
  }
  return "the first row names the columns, such as prompt,seed";
}

void check_columns(const std::filesystem::path& file, const CsvRecord& first, const std::vector<std::string>& columns) {
  std::vector<std::string> faults;
  if (!first.fault.empty()) faults.push_back(first.fault);
  for (size_t i = 0; i < columns.size(); ++i) {
    const bool again = std::find(columns.begin(), columns.begin() + static_cast<std::ptrdiff_t>(i), columns[i]) !=
                       columns.begin() + static_cast<std::ptrdiff_t>(i);
    if (columns[i].empty()) {
      faults.push_back("column " + std::to_string(i + 1) + " has no name");
    } else if (again) {
      faults.push_back("column " + columns[i] + " appears twice");
    } else if (!is_column(columns[i])) {
      faults.push_back("unknown column " + columns[i] + ": " + column_fault(columns[i]));
    }
  }
  if (faults.empty()) return;
  std::string problem;
  for (const std::string& fault : faults) problem += (problem.empty() ? "" : "; ") + fault;
  fail(file, first.line, problem);
}

std::vector<PromptRow> read_csv(const std::filesystem::path& file, char separator) {
  const std::vector<CsvRecord> records = CsvParser(read_file(file), separator).records();
  if (records.empty()) fail(file, 1, "the list is empty; wanted a first row that names the columns");
  const std::vector<std::string> columns = without_empty_end(records[0].cells);
  check_columns(file, records[0], columns);
  std::vector<PromptRow> rows;
  for (size_t r = 1; r < records.size(); ++r) {
    const CsvRecord& record = records[r];
    PromptRow row{.line = record.line, .fault = record.fault};
    const size_t cells = record.cells.size(), wanted = records[0].cells.size();
    if (row.fault.empty() && cells != wanted) {
      row.fault = "found " + std::to_string(cells) + " cells, wanted " + std::to_string(wanted) +
                  ", as in the first row; text with commas needs double quotes";
    } else if (row.fault.empty() && without_empty_end(record.cells).size() > columns.size()) {
      row.fault = "a cell stands in a column that has no name in the first row";
    }
    for (size_t i = 0; i < std::min(record.cells.size(), columns.size()); ++i) {
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
  constexpr std::array kOthers = {".json", ".jsonl", ".yaml", ".yml", ".xlsx", ".xls", ".ods"};
  const std::string extension = lower_case_extension(file);
  if (std::find(kOthers.begin(), kOthers.end(), extension) != kOthers.end())
    throw ConfigError(file.string() + ": wanted a prompt list, a text file with one prompt per line or a .csv file");
  const bool tabs = extension == ".tsv";
  std::vector<PromptRow> rows = tabs || extension == ".csv" ? read_csv(file, tabs ? '\t' : ',') : read_lines(file);
  if (rows.empty()) throw ConfigError(file.string() + ": the list is empty, wanted prompts");
  return rows;
}

}  // namespace flashblock
