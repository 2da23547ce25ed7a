// All videos that the server knows: which one is next, how far each is, and who wants to hear of changes.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "pipeline/live_prompts.h"
#include "server/video.h"
#include "server/video_folder.h"

namespace flashblock {

/// A video and its place in the queue: 0 runs, 1 is the next; -1: not in it.
struct ListedVideo {
  Video video;
  int64_t queue_position = -1;
};

/// A part of the list of videos, as OpenAI's lists are cut.
struct VideoPageQuery {
  size_t limit = 20;
  std::string after;  ///< begins behind this id; empty: at the beginning
  bool newest_first = true;
};
struct VideoPage {
  std::vector<ListedVideo> videos;
  bool has_more = false;
};

/// What changed since a revision.
struct VideoChanges {
  int64_t revision = 0;
  std::vector<ListedVideo> videos;
  std::vector<std::string> deleted;
};

/// The video that is rendered, in figures; all 0: none is.
struct CatalogProgress {
  double frames_per_second = 0;
  int64_t blocks_left = 0;
};

/// Whether a change must survive the program.
enum class Keep { kInMemory, kOnDisk };

/// Thread safety: all members may be called from any thread.
class VideoCatalog {
 public:
  /// `folder`: where the videos are kept, and those of an earlier run are found; null: nowhere. Those that were queued
  /// or running then are queued again. `most_queued`: how many may wait.
  VideoCatalog(std::shared_ptr<const VideoFolder> folder, size_t most_queued);

  /// Lines about videos of an earlier run that could not be read.
  const std::vector<std::string>& warnings() const { return warnings_; }

  /// Puts a new video at the end of the queue, and on disk; gives it its id, number and time. Throws: ApiError 429 if
  /// the queue is full; MediaError.
  ListedVideo add(Video video);
  /// Adds a video that a caller renders: never in the queue, never on disk. Sets its id. `prompts`: where prompts for
  /// it go; null: its prompts cannot be changed.
  void add_running(Video& video, std::shared_ptr<LivePrompts> prompts);

  /// Throws: ApiError 404.
  ListedVideo get(const std::string& id) const;
  VideoPage list(const VideoPageQuery& query) const;
  std::map<VideoStatus, int64_t> counts() const;
  CatalogProgress rendering() const;

  /// Takes it out of the queue, or asks its render to stop; a video that is finished stays as it is. Throws: ApiError
  /// 404.
  ListedVideo cancel(const std::string& id);
  /// The video that runs shows `prompt` next. Throws: ApiError 404; 409 if it does not run.
  ListedVideo change_prompt(const std::string& id, const std::string& prompt);
  /// Forgets it; what is running is asked to stop, and its files go when it has. Throws: ApiError 404; MediaError.
  void remove(const std::string& id);

  /// For the one who renders.
  struct Task {
    Video video;
    std::stop_token stop;  ///< requested when the video is cancelled or removed
    std::shared_ptr<LivePrompts> prompts;
  };
  /// Waits for the next video in the queue, which runs from then on; none when `stop` is requested.
  std::optional<Task> take_next(const std::stop_token& stop);
  /// Changes a video; nothing if it has been removed.
  void update(const std::string& id, Keep keep, const std::function<void(Video&)>& change);
  /// Says that the one who rendered `id` has let go of its files.
  void release(const std::string& id);

  /// Waits until something has changed after `revision`, or `timeout` has passed. From revision 0: all videos.
  VideoChanges wait_for_changes(int64_t revision, std::chrono::milliseconds timeout) const;

 private:
  struct Entry {
    Video video;
    int64_t revision = 0;
    std::stop_source stop;
    std::shared_ptr<LivePrompts> prompts;  ///< while it runs
  };
  struct Deleted {
    std::string id;
    int64_t revision = 0;
  };

  Entry& find(const std::string& id);
  const Entry& find(const std::string& id) const;
  int64_t queue_position(const Video& video) const;
  ListedVideo listed(const Entry& entry) const { return {entry.video, queue_position(entry.video)}; }
  void changed(Entry& entry, Keep keep);
  /// Everyone behind a place in the queue has moved.
  void queue_changed();

  const std::shared_ptr<const VideoFolder> folder_;
  const size_t most_queued_;
  std::vector<std::string> warnings_;
  mutable std::mutex mutex_;
  mutable std::condition_variable_any something_changed_;
  std::map<int64_t, Entry> entries_;        ///< by number
  std::map<std::string, int64_t> numbers_;  ///< by id
  std::deque<std::string> queue_;           ///< ids, the next one first
  std::deque<Deleted> deleted_;             ///< the last ones
  std::string running_;                     ///< id of the video that is rendered; empty: none
  bool running_removed_ = false;
  int64_t next_number_ = 1;
  int64_t revision_ = 0;
};

}  // namespace flashblock
