#include "render/output_check.h"

#include <unistd.h>

#include <algorithm>

#include "core/error.h"
#include "media/video_writer.h"
#include "render/sidecar.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

void check_file(const fs::path& file, const char* option, const char* extension) {
  if (file.empty()) return;
  if (file.extension() != extension) {
    throw ConfigError(std::string(option) + " " + file.string() + ": wanted a name that ends in " + extension);
  }
  if (fs::is_directory(file)) throw ConfigError(std::string(option) + " " + file.string() + " is a folder");
  const fs::path folder = fs::absolute(file).parent_path();
  if (!fs::is_directory(folder)) {
    throw MediaError(std::string(option) + " " + file.string() + ": there is no folder " + folder.string() +
                     "; make it first");
  }
  if (access(folder.c_str(), W_OK) != 0) {
    throw MediaError(std::string(option) + " " + file.string() + ": the folder " + folder.string() +
                     " cannot be written");
  }
}

/// What the pieces of an earlier run take already.
int64_t bytes_in(const fs::path& folder) {
  if (!fs::is_directory(folder)) return 0;
  int64_t bytes = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.is_regular_file()) bytes += static_cast<int64_t>(entry.file_size());
  }
  return bytes;
}

}  // namespace

void check_outputs(const RenderSetup& setup) {
  const RenderConfig& config = setup.config;
  const VideoFormat format{
      .width = config.width, .height = config.height, .fps = config.fps, .encoder = config.encoder};
  int64_t bytes = estimated_bytes(format, setup.plan.frames);
  // The record holds its frames as float16, and so do the segments until it is written.
  if (!config.record.empty()) bytes += 2 * 3 * 2 * config.width * config.height * setup.plan.frames;
  check_video_can_be_written(config.output, existing_video(config),
                             std::max<int64_t>(0, bytes - bytes_in(parts_folder(config.output))));
  check_file(config.contact_sheet, "--contact-sheet", ".png");
  check_file(config.record, "--record", ".safetensors");
  for (const fs::path& file : {config.contact_sheet, config.record}) {
    // A run that was ended between these files and the video wrote them already.
    if (file.empty() || config.overwrite || config.resume || !fs::exists(file)) continue;
    throw ConfigError(file.string() + " exists already: give another name, or --overwrite");
  }
}

}  // namespace flashblock
