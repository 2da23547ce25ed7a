#include "server/video_folder.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/html_page.h"
#include "media/segment_note.h"
#include "media/video_writer.h"
#include "render/finished_video.h"

namespace flashblock {
namespace fs = std::filesystem;
namespace {

constexpr const char* kVideoFile = "video.json";
constexpr size_t kProbeBytes = 64 * 1024;
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

VideoFolder::VideoFolder(const fs::path& folder) : folder_(fs::absolute(folder)) {
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
  const bool is_new = fs::create_directory(path(video.id), fault);
  if (fault) throw MediaError("cannot create the folder " + path(video.id).string() + ": " + fault.message());
  try {
    write_file_atomically(path(video.id) / kVideoFile, json_text(stored_video(video), 2));
  } catch (const Error&) {
    if (is_new) fs::remove(path(video.id), fault);
    throw;
  }
}

VideoFolder::Unfinished VideoFolder::unfinished(const std::string& id) const {
  const fs::path parts = parts_folder(video(id));
  Unfinished found{.files = {parts / "init.mp4"}};
  std::error_code fault;
  for (;;) {
    char name[32];
    std::snprintf(name, sizeof name, "%06zu.m4s", found.files.size() - 1);
    const auto bytes = fs::file_size(parts / name, fault);
    if (fault) break;
    found.files.push_back(parts / name);
    found.bytes += static_cast<int64_t>(bytes);
  }
  if (found.files.size() == 1 || !fs::exists(found.files.front(), fault)) return {};
  const fs::path& last = found.files.back();
  if (const auto note = read_note(fs::path(last).replace_extension(".safetensors"), last)) {
    found.frames = note->first_frame + note->frames;
  }
  found.blocks = static_cast<int64_t>(found.files.size()) - 1;
  return found;
}

DiskState VideoFolder::disk_state(int64_t needed_bytes) const {
  if (free_bytes() < needed_bytes) return DiskState::kFull;
  const fs::path probe = folder_ / ".writable";
  try {
    write_file_atomically(probe, std::string(kProbeBytes, ' '));
  } catch (const Error&) {
    return DiskState::kUnwritable;
  }
  std::error_code ignored;
  fs::remove(probe, ignored);
  return DiskState::kFine;
}

int64_t VideoFolder::free_bytes() const {
  std::error_code fault;
  const fs::space_info space = fs::space(folder_, fault);
  return fault ? 0 : static_cast<int64_t>(space.available);
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
