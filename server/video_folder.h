// The folder in which a server stores its videos.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/file_descriptor.h"
#include "server/video.h"

namespace flashblock {

enum class DiskState { kFine, kFull, kUnwritable };

/// ID/video.json is a video's request and state, ID/content.mp4 the video itself with its other files beside it. Only
/// one server at a time can use a folder. Thread safety: for calls on different videos.
class VideoFolder {
 public:
  /// Creates the folder if it does not exist. Throws: ConfigError if another server uses it; MediaError.
  explicit VideoFolder(const std::filesystem::path& folder);

  /// The stored videos by number; adds a line to `warnings` for each that cannot be read. Removes the remaining files
  /// of deleted videos. Throws: MediaError.
  std::vector<Video> load(std::vector<std::string>& warnings) const;
  /// Throws: MediaError.
  void save(const Video& video) const;
  /// Marks a video as deleted, also for the next server; its other files stay until remove(). Throws: MediaError.
  void mark_deleted(const std::string& id) const;
  /// Throws: MediaError.
  void remove(const std::string& id) const;

  std::filesystem::path path(const std::string& id) const { return folder_ / id; }
  std::filesystem::path video(const std::string& id) const;
  /// What there is of a video that is not complete: its init segment and finished segments, which play one after
  /// another; no files if there is no segment.
  struct Unfinished {
    std::vector<std::filesystem::path> files;
    int64_t bytes = 0;
    int64_t blocks = 0;
    int64_t frames = 0;
  };
  Unfinished unfinished(const std::string& id) const;
  int64_t free_bytes() const;
  /// Whether so many bytes, and a file at all, can be written.
  DiskState disk_state(int64_t needed_bytes) const;
  std::filesystem::path contact_sheet(const std::string& id) const { return path(id) / "sheet.png"; }
  std::filesystem::path thumbnail(const std::string& id) const { return path(id) / "thumbnail.jpg"; }

 private:
  std::filesystem::path folder_;
  FileDescriptor lock_;
};

}  // namespace flashblock
