#include "render/finished_video.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "core/error.h"
#include "core/file_identity.h"
#include "core/sha256.h"
#include "media/segment_joiner.h"
#include "media/video_reader.h"
#include "media/video_writer.h"
#include "render/sidecar.h"
#include "render/video_identity.h"
#include "settings/config_identity.h"

namespace flashblock {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// The video, or all of its images.
std::vector<fs::path> files_of(const fs::path& video, int64_t frames) {
  if (first_file(video) == video) return {video};
  std::vector<fs::path> files;
  for (int64_t i = 1; i <= frames; ++i) files.push_back(image_file(video, static_cast<int>(i)));
  return files;
}

/// Frames, size and time, without the checksum; nothing if a file is missing or is none.
std::optional<DescribedVideo> measured(const std::vector<fs::path>& files, int64_t frames) {
  DescribedVideo found{.frames = frames};
  for (const fs::path& file : files) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
    found.bytes += static_cast<uintmax_t>(status.st_size);
    const int64_t changed = int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
    found.modified_ns = std::max(found.modified_ns, changed);
  }
  return found;
}

std::string checksum(const std::vector<fs::path>& files, const FileCache& cache) {
  std::string all;
  for (const fs::path& file : files) all += cached_file_sha256(file, cache);
  return files.size() == 1 ? all : sha256(all);
}

/// Whether every frame that its container states can be decoded; `frames`: for containers that state none.
bool plays(const std::vector<fs::path>& files, int64_t frames) {
  try {
    for (const fs::path& file : files) {
      VideoReader reader(file);
      VideoFrame frame;
      int64_t decoded = 0;
      while (reader.next(frame)) ++decoded;
      const int64_t stated = files.size() > 1 ? 1 : reader.info().frames;
      if (decoded < std::max<int64_t>(1, stated > 0 ? stated : frames)) return false;
    }
    return true;
  } catch (const MediaError&) {
    return false;
  }
}

}  // namespace

Json written_video_json(const fs::path& video, int64_t frames) {
  const std::vector<fs::path> files = files_of(video, frames);
  const auto written = measured(files, frames);
  if (!written) throw MediaError(video.string() + " cannot be read after it was written");
  return {
      {"bytes", written->bytes}, {"modified_ns", written->modified_ns}, {"sha256", checksum(files, FileCache({}, 0))}};
}

FinishedVideo inspect_finished_video(const fs::path& video, bool use_cache) {
  const DescribedVideo written = described_video(video).value_or(DescribedVideo());
  const std::vector<fs::path> files = files_of(video, std::max<int64_t>(1, written.frames));
  const auto found = measured(files, written.frames);
  if (!found) return {FinishedState::kDamaged, files.size() > 1 ? "an image is missing" : "it is missing"};
  const bool noted = !written.sha256.empty();
  if (noted && found->bytes == written.bytes) {
    if (found->modified_ns == written.modified_ns) return {};
    if (checksum(files, checksum_cache(use_cache)) == written.sha256) return {};
  }
  const bool good = plays(files, written.frames);
  if (good && !noted) return {};
  std::string problem = "its content has changed since it was written";
  if (noted && found->bytes != written.bytes) {
    problem = "it has " + std::to_string(found->bytes) + " bytes, and had " + std::to_string(written.bytes) +
              " when it was written";
  }
  if (!good) problem += (noted ? ", and it" : "it") + std::string(" does not play to its end");
  return {good ? FinishedState::kReplaced : FinishedState::kDamaged, problem};
}

void check_other_outputs_exist(const RenderConfig& config) {
  for (const fs::path& file : output_files(config)) {
    if (file == config.output || fs::exists(file)) continue;
    throw ConfigError(config.output.string() + " is complete, but " + file.string() + " is missing",
                      {.key = "output", .remedies = {{"render both again", "overwrite", "true"}}});
  }
}

bool is_whole(const fs::path& video, bool use_cache) {
  const FinishedVideo found = inspect_finished_video(video, use_cache);
  if (found.state == FinishedState::kReplaced) {
    throw ConfigError(video.string() + " is not the video that was rendered: " + found.problem,
                      {.key = "output",
                       .remedies = {{"choose another name", "output", ""}, {"render it again", "overwrite", "true"}}});
  }
  return found.state == FinishedState::kWhole;
}

}  // namespace flashblock
