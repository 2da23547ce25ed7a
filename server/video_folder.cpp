#include "server/video_folder.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "core/atomic_file.h"
#include "core/error.h"
#include "render/finished_video.h"

namespace flashblock {
namespace fs = std::filesystem;
namespace {

constexpr const char* kVideoFile = "video.json";
constexpr const char* kContentFile = "content.mp4";

FileDescriptor lock_folder(const fs::path& folder) {
  FileDescriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!descriptor) throw MediaError("cannot open the folder " + folder.string() + ": " + std::strerror(errno));
  if (::flock(descriptor.get(), LOCK_EX | LOCK_NB) != 0) {
    throw ConfigError("the folder " + folder.string() + " is in use by another server");
  }
  return descriptor;
}

Video read_kept_video(const fs::path& folder) {
  std::ifstream stream(folder / kVideoFile);
  Video video = read_stored_video(nlohmann::ordered_json::parse(stream, nullptr, /*allow_exceptions=*/false));
  if (video.id != folder.filename()) throw ConfigError("it is for " + video.id);
  const bool damaged = video.status == VideoStatus::kCompleted &&
                       inspect_finished_video(folder / kContentFile).state != FinishedState::kWhole;
  if (damaged) {
    video.status = VideoStatus::kFailed;
    video.error_code = "file_damaged";
    video.error_message = "the video's file was damaged or removed after it was rendered";
  }
  return video;
}

}  // namespace

VideoFolder::VideoFolder(fs::path folder) : folder_(fs::absolute(folder)) {
  std::error_code fault;
  fs::create_directories(folder_, fault);
  if (fault) throw MediaError("cannot create the folder " + folder_.string() + ": " + fault.message());
  lock_ = lock_folder(folder_);
}

std::vector<Video> VideoFolder::load(std::vector<std::string>& warnings) const {
  std::vector<Video> videos;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_)) {
    if (!is_video_id(entry.path().filename())) continue;
    if (!fs::exists(entry.path() / kVideoFile)) {
      remove(entry.path().filename());
      continue;
    }
    try {
      videos.push_back(read_kept_video(entry.path()));
    } catch (const Error& error) {
      warnings.push_back((entry.path() / kVideoFile).string() + " is ignored: " + error.what());
    }
  }
  std::sort(videos.begin(), videos.end(), [](const Video& a, const Video& b) { return a.number < b.number; });
  return videos;
}

fs::path VideoFolder::video(const std::string& id) const { return path(id) / kContentFile; }

void VideoFolder::save(const Video& video) const {
  std::error_code fault;
  fs::create_directory(path(video.id), fault);
  if (fault) throw MediaError("cannot create the folder " + path(video.id).string() + ": " + fault.message());
  write_file_atomically(path(video.id) / kVideoFile, stored_video(video).dump(2) + "\n");
}

void VideoFolder::mark_deleted(const std::string& id) const {
  std::error_code fault;
  fs::remove(path(id) / kVideoFile, fault);
  if (fault) throw MediaError("cannot remove " + (path(id) / kVideoFile).string() + ": " + fault.message());
}

void VideoFolder::remove(const std::string& id) const {
  mark_deleted(id);
  std::error_code fault;
  fs::remove_all(path(id), fault);
  if (fault) throw MediaError("cannot remove " + path(id).string() + ": " + fault.message());
}

}  // namespace flashblock
