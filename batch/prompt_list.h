// Prompt lists: files that make one job into many videos.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace flashblock {

/// One video of a prompt list: configuration keys and their values as text.
struct PromptRow {
  int64_t line = 0;  ///< in the file, from 1
  std::vector<std::pair<std::string, std::string>> settings;
  std::string fault;  ///< why the row cannot be read; empty if it can
};

/// Reads a prompt list. NAME.csv, or NAME.tsv with tabs for commas: the first row names the columns, which are
/// configuration keys and `name`; empty cells are ignored. Any other name: text, one prompt per line; empty lines and
/// lines that start with # are ignored.
/// Throws: ConfigError, `FILE:LINE: problem`, for what concerns all rows.
std::vector<PromptRow> read_prompt_list(const std::filesystem::path& file);

}  // namespace flashblock
