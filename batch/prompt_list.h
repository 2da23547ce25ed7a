// Lists of prompts in files of their own, for jobs that are many videos.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace flashblock {

/// One video of a list: configuration keys and their values as text.
struct PromptRow {
  int64_t line = 0;  ///< of the file, from 1
  std::vector<std::pair<std::string, std::string>> settings;
};

/// Reads a list. NAME.csv: the first row names the columns, which are configuration keys and `name`; an empty cell
/// counts as not given. Any other name: text, one prompt a line; empty lines and lines that begin with # are left out.
/// Throws: ConfigError, `FILE:LINE: problem`.
std::vector<PromptRow> read_prompt_list(const std::filesystem::path& file);

}  // namespace flashblock
