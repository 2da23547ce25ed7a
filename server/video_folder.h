// The folder in which a server keeps its videos.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/file_descriptor.h"
#include "server/video.h"

namespace flashblock {

/// ID/video.json says what a video is to be and what became of it; ID/video.mp4 and what a render leaves beside it are
/// the video. One server at a time has the folder. Thread safety: of calls for different videos.
class VideoFolder {
 public:
  /// Makes the folder if there is none. Throws: ConfigError if another server has it; MediaError.
  explicit VideoFolder(std::filesystem::path folder);

  /// The videos that are there, by number, and in `warnings` a line about each that could not be read. What a deleted
  /// video left is removed.
  std::vector<Video> load(std::vector<std::string>& warnings) const;
  /// Throws: MediaError.
  void save(const Video& video) const;
  /// From now on it is no video, even if the program ends here; its other files stay until remove(). Throws:
  /// MediaError.
  void forget(const std::string& id) const;
  /// Throws: MediaError.
  void remove(const std::string& id) const;

  std::filesystem::path path(const std::string& id) const { return folder_ / id; }
  std::filesystem::path video(const std::string& id) const { return path(id) / "video.mp4"; }
  std::filesystem::path contact_sheet(const std::string& id) const { return path(id) / "sheet.png"; }
  std::filesystem::path thumbnail(const std::string& id) const { return path(id) / "thumbnail.jpg"; }

 private:
  std::filesystem::path folder_;
  FileDescriptor lock_;
};

}  // namespace flashblock
