#include "render/own_file.h"

#include <strings.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/output_path.h"
#include "media/video_reader.h"
#include "weights/weight_store.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kProgram = "flashblock ";
constexpr std::string_view kFirstKey = "{\"program\":\"flashblock ";

std::string beginning_of(const fs::path& file, size_t most) {
  std::ifstream stream(file, std::ios::binary);
  std::string text(most, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(most));
  text.resize(static_cast<size_t>(stream.gcount()));
  return text;
}

/// JSON whose first key is `program`, as all JSON files of this program begin.
bool is_own_json(const fs::path& file) {
  std::string text = beginning_of(file, 256);
  const size_t name = std::min(text.find("flashblock"), text.size());
  text.erase(std::remove_if(text.begin(), text.begin() + static_cast<long>(name), [](char c) { return c <= ' '; }),
             text.begin() + static_cast<long>(name));
  return text.starts_with(kFirstKey);
}

/// A page with the data of this program in it.
bool is_own_page(const fs::path& file) {
  constexpr size_t kMostBytes = 1 << 20;  // of the page before its data
  return beginning_of(file, kMostBytes).find("id=\"data\">" + std::string(kFirstKey)) != std::string::npos;
}

bool is_own_recording(const fs::path& file) {
  const auto metadata = WeightStore::open(file)->metadata();
  const auto program = metadata.find("program");
  return program != metadata.end() && program->second.starts_with(kProgram);
}

bool is_own_video(const fs::path& file) {
  const VideoReader reader(file);
  return std::ranges::any_of(reader.info().metadata, [](const auto& tag) {  // Matroska writes PROGRAM
    return ::strcasecmp(tag.first.c_str(), "program") == 0 && tag.second.starts_with(kProgram);
  });
}

}  // namespace

bool is_own_file(const fs::path& file) {
  const std::string kind = file.extension().string();
  try {
    if (kind == ".json") return is_own_json(file);
    if (kind == ".html") return is_own_page(file);
    if (kind == ".yaml" || kind == ".yml")
      return beginning_of(file, 1024).find("\nflashblock_gate:") != std::string::npos;
    if (kind == ".safetensors") return is_own_recording(file);
    if (kind == ".mp4" || kind == ".mkv" || kind == ".mov") return is_own_video(file);
  } catch (const Error&) {  // cannot be read: not known to be ours
  }
  return false;
}

void check_report_file(const fs::path& file, bool overwrite, const std::vector<fs::path>& inputs) {
  const Remedy replace{"replace it", "overwrite", "true"};
  check_output_name(file);
  check_folder_is_writable(fs::absolute(file).parent_path());
  for (const fs::path& input : inputs) {
    if (!input.empty() && real_path(file) == real_path(input))
      throw ConfigError(file.string() + " is a file that this command reads: choose another name");
  }
  for (const fs::path& name : {file, unfinished_name(file)}) {
    if (!fs::exists(name)) continue;
    const bool own = is_own_file(name);
    if (own && overwrite) continue;
    if (own) throw ConfigError(name.string() + " exists", {.remedies = {replace}});
    throw ConfigError(name.string() + " exists and was not written by flashblock, which replaces no other files: " +
                      "choose another name, or move it away");
  }
}

}  // namespace flashblock
