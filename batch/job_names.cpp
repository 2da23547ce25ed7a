#include "batch/job_names.h"

#include <algorithm>
#include <cctype>

namespace flashblock {

std::string VideoName::whole() const { return job + (row.empty() ? "" : "-" + row) + (seed.empty() ? "" : "-" + seed); }

void check_name(const std::string& name, const YamlValue& place) {
  constexpr size_t kLongest = 120;  // bytes: file systems allow 255, including extensions and seeds
  const bool bad = std::any_of(name.begin(), name.end(), [](unsigned char c) {
    return std::iscntrl(c) != 0 || std::string_view("/\\{}").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (name.empty() || name.front() == '.' || name.size() > kLongest || bad) {
    place.fail("found \"" + name + "\", wanted a name for files: 1 to " + std::to_string(kLongest) +
               " characters, no slashes, braces or control characters, no dot in front");
  }
}

std::string expand_template(const YamlValue& place, const VideoName& name, const std::string& seed) {
  const std::string pattern = place.text();
  const auto has = [&](const char* word) { return pattern.find(word) != std::string::npos; };
  const VideoName shown{.job = name.job, .row = has("{row}") ? "" : name.row, .seed = has("{seed}") ? "" : name.seed};
  std::string text;
  for (size_t at = 0; at < pattern.size();) {
    if (pattern[at] != '{') {
      text += pattern[at++];
      continue;
    }
    const size_t end = pattern.find('}', at);
    const std::string word = pattern.substr(at, end == std::string::npos ? end : end + 1 - at);
    if (word == "{name}") {
      text += shown.whole();
    } else if (word == "{job}") {
      text += name.job;
    } else if (word == "{row}" && !name.row.empty()) {
      text += name.row;
    } else if (word == "{seed}") {
      text += seed;
    } else {
      place.fail("found " + word + ", wanted {name}, {job} or {seed}; {row} where the job has a list of prompts");
    }
    at += word.size();
  }
  return text;
}

uint64_t seed_from_name(const std::string& name) {
  uint32_t hash = 2166136261U;  // FNV-1a, 32 bits (Fowler, Noll and Vo)
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return hash;
}

}  // namespace flashblock
