#include "render/output_check.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/error.h"
#include "core/output_path.h"
#include "core/parse_number.h"
#include "media/audio_track.h"
#include "media/segment_joiner.h"
#include "media/stream_output.h"
#include "media/video_writer.h"
#include "render/own_file.h"
#include "render/resume.h"
#include "render/sidecar.h"
#include "settings/config_file.h"
#include "settings/config_identity.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;

bool leaves_files(const RenderConfig& config) { return config.standard_output.empty(); }

bool is_images(const RenderConfig& config) { return output_container(config) == Container::kImages; }

/// Files beside the video that the configuration names, and the endings that they must have.
std::vector<std::pair<WrittenFile, const char*>> named_files(const RenderConfig& config) {
  std::vector<std::pair<WrittenFile, const char*>> files;
  if (!config.contact_sheet.empty()) files.push_back({{config.contact_sheet, "contact_sheet"}, ".png"});
  if (!config.record.empty()) files.push_back({{config.record, "record"}, ".safetensors"});
  for (const std::string& target : config.output_options.tee)
    if (!is_url(target)) files.push_back({{target, "tee"}, ""});
  return files;
}

Remedy another_name(const std::string& key) { return {"choose another name", key, ""}; }

ErrorContext context_of(const WrittenFile& file) { return {.key = file.key, .remedies = {another_name(file.key)}}; }

/// Throws: ConfigError for a name that is too long, taken by no file, given twice, or that of an input.
void check_names(const RenderConfig& config) {
  const std::vector<WrittenFile> files = written_files(config);
  std::vector<std::pair<std::string, fs::path>> inputs = input_files(config);
  for (auto& [key, input] : inputs) input = real_path(input);
  for (size_t i = 0; i < files.size(); ++i) {
    const fs::path& path = files[i].path;
    const ErrorContext own_key{.key = files[i].key};
    if (files[i].folder)
      check_name_length(path, own_key);
    else
      check_output_name(path, own_key);
    for (size_t j = 0; j < i; ++j) {
      if (path.lexically_normal() == files[j].path.lexically_normal())
        throw ConfigError(path.string() + " would be written twice, as " + files[j].key + " and " + files[i].key,
                          context_of(files[i]));
    }
    const auto input = std::ranges::find(inputs, real_path(path), &std::pair<std::string, fs::path>::second);
    if (input != inputs.end())
      throw ConfigError(path.string() + " would be written, and the video is made from it (" + input->first + ")",
                        context_of(files[i]));
  }
}

/// What a video of this name was made with, as far as files of its own still say so.
struct EarlierVideo {
  std::vector<fs::path> files;  ///< that it wrote under names of its own
  int64_t images = 0;           ///< if it was an image sequence
};

EarlierVideo earlier_video(const RenderConfig& config) {
  EarlierVideo earlier;
  const auto described = described_video(config.output);
  if (described && described->file == config.output.filename()) {
    earlier.files.push_back(first_file(config.output));
    if (is_images(config)) earlier.images = described->frames;
  }
  try {
    const auto stored = stored_settings(config.output);
    if (!stored) return earlier;
    RenderConfig its;
    read_settings(*stored, its);
    for (const auto& [file, ending] : named_files(its)) earlier.files.push_back(file.path);
  } catch (const ConfigError&) {  // of another version: names nothing
  }
  return earlier;
}

/// Throws: ConfigError for a file that exists, unless an earlier run for this video has written it and it may go.
void check_may_be_replaced(const WrittenFile& file, const RenderConfig& config, bool own) {
  if (!fs::exists(file.path)) return;
  if (own && (config.overwrite || config.resume)) return;
  if (own)
    throw ConfigError(file.path.string() + " exists",
                      {.key = file.key, .remedies = {{"replace it", "overwrite", "true"}, another_name(file.key)}});
  throw ConfigError(file.path.string() + " exists and was not written by flashblock, which replaces no other files",
                    context_of(file));
}

/// The images that the video would replace. Throws: as check_may_be_replaced().
void check_images(const RenderConfig& config, int64_t frames, const EarlierVideo& earlier) {
  const fs::path folder = config.output.parent_path();
  const bool begun = config.resume && fs::exists(parts_folder(config.output));  // it was checked then
  if (!fs::is_directory(folder) || begun) return;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const fs::path name = entry.path().filename();
    const auto number = parse_number<int64_t>(name.stem().string());
    if (name.extension() != ".png" || !number || *number < 1 || *number > frames) continue;
    if (entry.path() != image_file(config.output, static_cast<int>(*number))) continue;
    check_may_be_replaced({entry.path(), "output"}, config, *number <= earlier.images);
  }
}

void check_existing(const RenderConfig& config, int64_t frames) {
  const EarlierVideo earlier = earlier_video(config);
  for (const WrittenFile& file : written_files(config)) {
    if (file.folder) continue;                                                  // check_video_can_be_written
    if (is_images(config) && file.path == first_file(config.output)) continue;  // check_images
    const bool named = std::ranges::find(earlier.files, file.path) != earlier.files.end();
    check_may_be_replaced(file, config, named || is_own_file(file.path));
    const fs::path unfinished = unfinished_name(file.path);
    const bool begun = (config.resume || config.overwrite) && fs::exists(parts_folder(config.output));
    if (!begun) check_may_be_replaced({unfinished, file.key}, config, false);
  }
  if (leaves_files(config) && is_images(config)) check_images(config, frames, earlier);
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
  for (const auto& [file, ending] : named_files(config)) {
    if (*ending == '\0' || file.path.extension() == ending) continue;
    throw ConfigError(file.key + " is '" + file.path.string() + "', wanted a name that ends in " + ending,
                      {.key = file.key});
  }
  check_names(config);
}

std::vector<WrittenFile> written_files(const RenderConfig& config) {
  std::vector<WrittenFile> files;
  if (leaves_files(config)) {
    files.push_back({first_file(config.output), "output"});
    files.push_back({sidecar_file(config.output), "output"});
  }
  for (const fs::path& folder : segment_folders(config.output)) files.push_back({folder, "output", true});
  for (auto& [file, ending] : named_files(config)) files.push_back(std::move(file));
  return files;
}

int64_t replaced_images(const RenderConfig& config) {
  return config.overwrite && is_images(config) ? earlier_video(config).images : 0;
}

void check_outputs(const RenderSetup& setup) {
  const RenderConfig& config = setup.config;
  if (!config.output_options.audio.empty()) check_audio_file(config.output_options.audio);
  int64_t bytes = estimated_bytes(video_format(config), setup.plan.frames);
  // The recording holds its frames as float16, and so do the segments until it is written.
  if (!config.record.empty()) bytes += 2 * 3 * 2 * config.width * config.height * setup.plan.frames;
  // Unfinished work is what there is to say first, if there is any.
  const bool begun = fs::exists(parts_folder(config.output));
  if (!begun) check_existing(config, setup.plan.frames);
  check_video_can_be_written(config.output, existing_video(config),
                             std::max<int64_t>(0, bytes - bytes_in(parts_folder(config.output))));
  const fs::path images = is_images(config) ? config.output.parent_path() : fs::path();
  for (const auto& [file, ending] : named_files(config)) {
    const fs::path folder = fs::absolute(file.path).parent_path();
    if (!fs::exists(folder) && folder == images) continue;  // the run makes it
    try {
      check_folder_is_writable(folder, {.key = file.key});
    } catch (const MediaError& error) {
      throw MediaError(file.key + " " + file.path.string() + ": " + error.what(), {.key = file.key});
    }
  }
  if (begun) check_existing(config, setup.plan.frames);
}

}  // namespace flashblock
