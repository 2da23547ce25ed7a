// All videos of the server: the queue, the state of each video, and notification of changes.
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

/// A video and its position in the queue: 0 running, 1 next, -1 not queued.
struct ListedVideo {
  Video video;
  int64_t queue_position = -1;
};

/// A page of the list of videos, as in OpenAI's lists.
struct VideoPageQuery {
  size_t limit = 20;
  std::string after;  ///< the last id of the previous page; empty: the first page
  bool newest_first = true;
};
struct VideoPage {
  std::vector<ListedVideo> videos;
  bool has_more = false;
};

/// Changes since a revision.
struct VideoChanges {
  int64_t revision = 0;
  std::vector<ListedVideo> videos;
  std::vector<std::string> deleted;
};

/// Progress of the running video; all 0 if there is none.
struct CatalogProgress {
  double frames_per_second = 0;
  int64_t blocks_left = 0;
};

/// Whether a change is written to disk.
enum class Keep { kInMemory, kOnDisk };

/// Thread safety: all members may be called from any thread.
class VideoCatalog {
 public:
  /// `folder`: where videos are stored, those of an earlier run included; null: nowhere. Videos that were queued then
  /// are queued again, after the one that was running. `most_queued`: length limit of the queue.
  VideoCatalog(std::shared_ptr<const VideoFolder> folder, size_t most_queued);

  /// One line for each stored video that could not be read.
  const std::vector<std::string>& warnings() const { return warnings_; }

  /// Assigns id, number and time to a new video, stores it and queues it. Throws: ApiError 429 if the queue is full;
  /// 507 if it cannot be stored.
  ListedVideo add(Video video);
  /// Adds a video that a caller renders: never in the queue, never on disk. Sets its id. `prompts`: where prompts for
  /// it are queued; null: its prompts cannot be changed.
  void add_running(Video& video, std::shared_ptr<LivePrompts> prompts);

  /// Throws: ApiError 404.
  ListedVideo get(const std::string& id) const;
  VideoPage list(const VideoPageQuery& query) const;
  std::map<VideoStatus, int64_t> counts() const;
  CatalogProgress rendering() const;

  /// Why no video is rendered although some are waiting; none: nothing is in the way.
  std::optional<Hold> held() const;
  /// Whether a video is running or waits to be rendered.
  bool has_work() const;
  /// How many videos have ended with a status since the server started, whatever became of them later.
  std::map<VideoStatus, int64_t> ended() const;

  /// Removes a video from the queue, or requests its render to stop; a finished video is unchanged. Throws: ApiError
  /// 404; 507 if that cannot be stored.
  ListedVideo cancel(const std::string& id);
  /// Makes `prompt` the next prompt of the running video. Throws: ApiError 404; 409 if the video is not running.
  ListedVideo change_prompt(const std::string& id, const std::string& prompt);
  /// Deletes a video. If it is running, its render is requested to stop, and its files are deleted when it has stopped.
  /// Throws: ApiError 404; MediaError.
  void remove(const std::string& id);

  /// What a worker needs to render a video.
  struct Task {
    Video video;
    std::stop_token stop;  ///< requested when the video is cancelled or removed
    std::shared_ptr<LivePrompts> prompts;
  };
  /// Waits for the next video in the queue and marks it as running; none when `stop` is requested. Throws: MediaError
  /// if that cannot be stored; the video is still the next one.
  std::optional<Task> take_next(const std::stop_token& stop);
  /// Frame blocks of a video that are on disk; 0 if it has been deleted.
  int64_t finished_blocks(const std::string& id) const;
  /// The id of the video that take_next would return; empty: none.
  std::string next() const;

  /// Where a held video waits: before all others, behind those that may do without what it lacks, or as the running
  /// one.
  enum class Place { kNext, kLast, kRunning };
  /// Declares that a video waits, and puts it back into the queue unless it stays the running one. Its status stays.
  void hold(const std::string& id, const Hold& why, Place place);
  /// Declares that videos are rendered again.
  void end_hold();
  /// Waits until a client cancels or deletes a video, `timeout` has passed or `stop` is requested. Returns whether a
  /// client did.
  bool wait_for_request(const std::stop_token& stop, std::chrono::milliseconds timeout);

  /// Changes a video; does nothing if it has been deleted. Clients are told of a final status only when it is on disk.
  /// Throws: MediaError if it cannot be stored; the video is then unchanged.
  void update(const std::string& id, Keep keep, const std::function<void(Video&)>& change);
  /// Declares that the files of `id` are no longer used by its render.
  void release(const std::string& id);

  /// Waits until there are changes after `revision`, or `timeout` has passed. After revision 0: all videos.
  VideoChanges wait_for_changes(int64_t revision, std::chrono::milliseconds timeout) const;

 private:
  struct Entry {
    Video video;
    int64_t revision = 0;
    std::stop_source stop;
    std::shared_ptr<LivePrompts> prompts;  ///< while it is running
  };
  struct Deleted {
    std::string id;
    int64_t revision = 0;
  };

  /// Assigns id, number and time to a new video.
  void identify(Video& video);
  Entry& insert(Entry new_entry);
  Entry& find(const std::string& id);
  const Entry& find(const std::string& id) const;
  int64_t queue_position(const Video& video) const;
  ListedVideo listed(const Entry& entry) const { return {entry.video, queue_position(entry.video)}; }
  /// Wakes wait_for_request.
  void request_made();
  /// Stores what must be on disk before clients are told. Throws: MediaError.
  void store(const Video& video) const;
  void changed(Entry& entry, Keep keep);
  /// Marks all queued videos as changed: their positions are.
  void queue_changed();

  const std::shared_ptr<const VideoFolder> folder_;
  const size_t most_queued_;
  std::vector<std::string> warnings_;
  mutable std::mutex mutex_;
  mutable std::condition_variable_any something_changed_;
  std::map<int64_t, Entry> entries_;        ///< by number
  std::map<std::string, int64_t> numbers_;  ///< by id
  std::deque<std::string> queue_;           ///< ids, next first
  std::deque<Deleted> deleted_;             ///< most recent deletions
  std::string running_;                     ///< id of the running video; empty: none
  bool running_removed_ = false;
  std::optional<Hold> hold_;
  bool requested_ = false;  ///< since the last wait_for_request
  std::map<VideoStatus, int64_t> ended_;
  int64_t next_number_ = 1;
  int64_t revision_ = 0;
};

}  // namespace flashblock
