#include "render/output_check.h"

#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/error.h"
#include "media/audio_track.h"
#include "media/stream_output.h"
#include "media/video_writer.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

/// An output beside the video.
struct OutputFile {
  fs::path file;  ///< empty: not wanted
  std::string key;
  const char* extension;
};

std::vector<OutputFile> other_outputs(const RenderConfig& config) {
  return {{config.contact_sheet, "contact_sheet", ".png"}, {config.record, "record", ".safetensors"}};
}

/// Whether it exists or not.
void check_writable(const OutputFile& output) {
  const std::string where = output.key + " " + output.file.string();
  if (fs::is_directory(output.file)) throw ConfigError(where + " is a folder", {.key = output.key});
  const fs::path folder = fs::absolute(output.file).parent_path();
  if (!fs::is_directory(folder)) {
    throw MediaError(where + ": there is no folder " + folder.string() + "; create it first", {.key = output.key});
  }
  if (access(folder.c_str(), W_OK) != 0) {
    throw MediaError(where + ": the folder " + folder.string() + " cannot be written", {.key = output.key});
  }
}

/// What the segments of an earlier run take already.
int64_t bytes_in(const fs::path& folder) {
  if (!fs::is_directory(folder)) return 0;
  int64_t bytes = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.is_regular_file()) bytes += static_cast<int64_t>(entry.file_size());
  }
  return bytes;
}

/// Sound and receivers, as far as that is known without opening them.
void check_extras(const OutputOptions& options, Container container, const VideoEncoding& encoding) {
  const bool frames_only = container == Container::kImages || container == Container::kY4mStream;
  if (!options.audio.empty() && frames_only) {
    throw ConfigError("audio: images and raw frames have no sound; wanted .mp4, .mkv, .mov or -");
  }
  for (const std::string& target : options.tee) {
    check_tee(target);
    const bool sent = encoding.codec == VideoCodec::kH264 || encoding.codec == VideoCodec::kHevc;
    if (sent && !(target.starts_with("rtmp") && encoding.codec != VideoCodec::kH264)) continue;
    throw ConfigError("tee " + target + ": " + to_string(encoding.codec) + " is not sent there, wanted h264" +
                      (target.starts_with("rtmp") ? "" : " or hevc"));
  }
}

}  // namespace

void check_output_names(const RenderConfig& config) {
  const Container container = output_container(config);
  const VideoEncoding encoding = video_format(config).encoding;
  check_encoder_exists(container, encoding);
  check_extras(config.output_options, container, encoding);
  for (const OutputFile& output : other_outputs(config)) {
    if (output.file.empty() || output.file.extension() == output.extension) continue;
    throw ConfigError(output.key + " is '" + output.file.string() + "', wanted a name that ends in " + output.extension,
                      {.key = output.key});
  }
}

void check_outputs(const RenderSetup& setup) {
  const RenderConfig& config = setup.config;
  if (!config.output_options.audio.empty()) check_audio_file(config.output_options.audio);
  int64_t bytes = estimated_bytes(video_format(config), setup.plan.frames);
  // The recording holds its frames as float16, and so do the segments until it is written.
  if (!config.record.empty()) bytes += 2 * 3 * 2 * config.width * config.height * setup.plan.frames;
  check_video_can_be_written(config.output, existing_video(config),
                             std::max<int64_t>(0, bytes - bytes_in(parts_folder(config.output))));
  std::vector<OutputFile> others = other_outputs(config);
  for (const std::string& target : config.output_options.tee) {
    if (!is_url(target)) others.push_back({target, "tee", ""});
  }
  for (const OutputFile& output : others) {
    if (output.file.empty()) continue;
    check_writable(output);
    // A resumed run may have written them already: they come before the video.
    if (config.overwrite || config.resume || !fs::exists(output.file)) continue;
    throw ConfigError(output.file.string() + " exists",
                      {.key = output.key,
                       .remedies = {{"replace it", "overwrite", "true"}, {"choose another name", output.key, ""}}});
  }
}

}  // namespace flashblock
