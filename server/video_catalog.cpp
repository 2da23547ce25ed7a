#include "server/video_catalog.h"

#include <algorithm>
#include <ctime>
#include <iostream>
#include <utility>

#include "core/error.h"
#include "server/api_error.h"

namespace flashblock {
namespace {

constexpr size_t kStoredDeletions = 256;

/// A full disk stops neither the server nor the render: the failure is logged. Returns whether there was none.
bool log_failure_of(const std::function<void()>& write) {
  try {
    write();
  } catch (const Error& error) {
    std::cerr << "flashblock: warning: " << error.what() << std::endl;
    return false;
  }
  return true;
}

/// Stores what a client asked for. Throws: ApiError 507.
void store_for_client(const std::function<void()>& write) {
  if (!log_failure_of(write)) {
    throw ApiError({507, "disk_full", "the server cannot store this now, its disk may be full; try again later"});
  }
}

}  // namespace

VideoCatalog::VideoCatalog(std::shared_ptr<const VideoFolder> folder, size_t most_queued)
    : folder_(std::move(folder)), most_queued_(most_queued) {
  if (!folder_) return;
  for (Video& video : folder_->load(warnings_)) {
    next_number_ = std::max(next_number_, video.number + 1);
    // The video that was running when the program ended resumes first.
    if (video.status == VideoStatus::kInProgress) {
      const VideoFolder::Unfinished there = folder_->unfinished(video.id);
      video.progress.block = there.blocks;
      video.progress.frames = there.frames;
      queue_.push_front(video.id);
    }
    if (video.status == VideoStatus::kQueued) queue_.push_back(video.id);
    Entry& entry = entries_[numbers_[video.id] = video.number];
    entry = {.video = std::move(video), .revision = ++revision_};
  }
}

ListedVideo VideoCatalog::add(Video video) {
  const std::lock_guard lock(mutex_);
  const auto queued = static_cast<size_t>(std::count_if(queue_.begin(), queue_.end(), [&](const std::string& id) {
    return find(id).video.status == VideoStatus::kQueued;  // not one that was begun and waits
  }));
  if (queued >= most_queued_) {
    throw ApiError({429, "queue_full", std::to_string(queued) + " videos are queued already; try again later"});
  }
  identify(video);
  store_for_client([&] { store(video); });
  queue_.push_back(video.id);
  return listed(insert({.video = std::move(video)}));
}

void VideoCatalog::add_running(Video& video, std::shared_ptr<LivePrompts> prompts) {
  const std::lock_guard lock(mutex_);
  identify(video);
  video.status = VideoStatus::kInProgress;
  running_ = video.id;
  insert({.video = video, .prompts = std::move(prompts)});
}

void VideoCatalog::identify(Video& video) {
  video.id = draw_video_id();
  video.number = next_number_++;
  video.created_at = std::time(nullptr);
}

VideoCatalog::Entry& VideoCatalog::insert(Entry new_entry) {
  numbers_[new_entry.video.id] = new_entry.video.number;
  Entry& entry = entries_[new_entry.video.number] = std::move(new_entry);
  changed(entry, Keep::kInMemory);
  return entry;
}

ListedVideo VideoCatalog::get(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  return listed(find(id));
}

VideoPage VideoCatalog::list(const VideoPageQuery& query) const {
  const std::lock_guard lock(mutex_);
  VideoPage page;
  const auto take = [&](auto begin, auto end) {
    for (auto entry = begin; entry != end; ++entry) {
      if (page.videos.size() == query.limit) {
        page.has_more = true;
        return;
      }
      page.videos.push_back(listed(entry->second));
    }
  };
  const int64_t after = query.after.empty() ? 0 : find(query.after).video.number;
  if (query.newest_first) {
    take(after ? std::make_reverse_iterator(entries_.lower_bound(after)) : entries_.rbegin(), entries_.rend());
  } else {
    take(entries_.upper_bound(after), entries_.end());
  }
  return page;
}

std::map<VideoStatus, int64_t> VideoCatalog::counts() const {
  const std::lock_guard lock(mutex_);
  std::map<VideoStatus, int64_t> counts;
  for (const auto& [number, entry] : entries_) ++counts[entry.video.status];
  return counts;
}

CatalogProgress VideoCatalog::rendering() const {
  const std::lock_guard lock(mutex_);
  const auto number = numbers_.find(running_);
  if (number == numbers_.end()) return {};
  const VideoProgress& progress = entries_.at(number->second).video.progress;
  return {.frames_per_second = progress.frames_per_second.value_or(0), .blocks_left = progress.blocks - progress.block};
}

std::optional<Hold> VideoCatalog::held() const {
  const std::lock_guard lock(mutex_);
  return hold_;
}

bool VideoCatalog::has_work() const {
  const std::lock_guard lock(mutex_);
  return !running_.empty() || !queue_.empty();
}

std::map<VideoStatus, int64_t> VideoCatalog::ended() const {
  const std::lock_guard lock(mutex_);
  return ended_;
}

ListedVideo VideoCatalog::cancel(const std::string& id) {
  const std::lock_guard lock(mutex_);
  Entry& entry = find(id);
  const bool waits = std::find(queue_.begin(), queue_.end(), id) != queue_.end();
  if (waits && entry.video.progress.frames == 0) {
    Video cancelled = entry.video;
    end_video(cancelled, VideoStatus::kCancelled);
    store_for_client([&] { store(cancelled); });
    std::erase(queue_, id);
    entry.video = std::move(cancelled);
    ++ended_[VideoStatus::kCancelled];
    changed(entry, Keep::kInMemory);
    queue_changed();
  } else if (!is_final(entry.video.status)) {
    entry.stop.request_stop();  // its render makes a shorter video of what there is
  }
  request_made();
  return listed(entry);
}

ListedVideo VideoCatalog::change_prompt(const std::string& id, const std::string& prompt) {
  const std::lock_guard lock(mutex_);
  Entry& entry = find(id);
  if (!entry.prompts || entry.video.status != VideoStatus::kInProgress) {
    throw ApiError(
        {409, "not_running", "only a running video can get another prompt, and not one that replays a recording"});
  }
  entry.prompts->change_to(prompt);
  changed(entry, Keep::kInMemory);
  return listed(entry);
}

void VideoCatalog::remove(const std::string& id) {
  const std::lock_guard lock(mutex_);
  Entry& entry = find(id);
  entry.stop.request_stop();
  std::erase(queue_, id);
  const bool runs = running_ == id;
  running_removed_ = running_removed_ || runs;
  if (folder_ && !runs) folder_->remove(id);
  if (folder_ && runs) folder_->mark_deleted(id);
  entries_.erase(entry.video.number);
  numbers_.erase(id);
  deleted_.push_back({id, ++revision_});
  if (deleted_.size() > kStoredDeletions) deleted_.pop_front();
  if (queue_.empty()) hold_.reset();
  request_made();
  queue_changed();
}

std::optional<VideoCatalog::Task> VideoCatalog::take_next(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const bool found = something_changed_.wait(lock, stop, [&] { return !queue_.empty(); });
  if (!found || stop.stop_requested()) return {};  // the queue is for the next server
  Entry& entry = find(queue_.front());
  Video started = entry.video;
  started.status = VideoStatus::kInProgress;
  started.progress.stage.clear();
  started.progress.frames_per_second.reset();
  store(started);
  queue_.pop_front();
  entry.video = std::move(started);
  running_ = entry.video.id;
  running_removed_ = false;
  if (!entry.prompts) entry.prompts = std::make_shared<LivePrompts>();
  changed(entry, Keep::kInMemory);
  queue_changed();
  return Task{.video = entry.video, .stop = entry.stop.get_token(), .prompts = entry.prompts};
}

int64_t VideoCatalog::finished_blocks(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto number = numbers_.find(id);
  return number == numbers_.end() ? 0 : entries_.at(number->second).video.progress.block;
}

std::string VideoCatalog::next() const {
  const std::lock_guard lock(mutex_);
  return queue_.empty() ? "" : queue_.front();
}

void VideoCatalog::hold(const std::string& id, const Hold& why, Place place) {
  const std::lock_guard lock(mutex_);
  const auto number = numbers_.find(id);
  if (number == numbers_.end()) return;  // deleted
  hold_ = why;
  Entry& entry = entries_.at(number->second);
  entry.video.progress.hold = why;
  entry.video.progress.stage = "waiting";
  entry.video.progress.frames_per_second.reset();
  entry.video.progress.eta_seconds.reset();
  if (place != Place::kRunning) {
    std::erase(queue_, id);
    queue_.insert(place == Place::kNext ? queue_.begin() : queue_.end(), id);
    if (running_ == id) running_.clear();
  }
  changed(entry, Keep::kInMemory);
  queue_changed();
}

void VideoCatalog::end_hold() {
  const std::lock_guard lock(mutex_);
  hold_.reset();
  const auto number = numbers_.find(running_);
  if (number == numbers_.end()) return;
  Entry& entry = entries_.at(number->second);
  if (!entry.video.progress.hold) return;
  entry.video.progress.hold.reset();
  changed(entry, Keep::kInMemory);
}

bool VideoCatalog::wait_for_request(const std::stop_token& stop, std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  something_changed_.wait_for(lock, stop, timeout, [&] { return requested_; });
  return std::exchange(requested_, false);
}

void VideoCatalog::update(const std::string& id, Keep keep, const std::function<void(Video&)>& change) {
  const std::lock_guard lock(mutex_);
  const auto number = numbers_.find(id);
  if (number == numbers_.end()) return;
  Entry& entry = entries_.at(number->second);
  Video now = entry.video;
  change(now);
  const bool ends = is_final(now.status) && !is_final(entry.video.status);
  if (ends && keep == Keep::kOnDisk) {
    store(now);
    keep = Keep::kInMemory;
  }
  if (ends) ++ended_[now.status];
  entry.video = std::move(now);
  changed(entry, keep);
}

void VideoCatalog::release(const std::string& id) {
  const std::lock_guard lock(mutex_);
  if (running_ != id) return;
  running_.clear();
  if (running_removed_ && folder_) {
    log_failure_of([&] { folder_->remove(id); });
  }
}

VideoChanges VideoCatalog::wait_for_changes(int64_t revision, std::chrono::milliseconds timeout) const {
  std::unique_lock lock(mutex_);
  something_changed_.wait_for(lock, timeout, [&] { return revision_ > revision; });
  VideoChanges changes{.revision = revision_};
  for (const auto& [number, entry] : entries_) {
    if (entry.revision > revision) changes.videos.push_back(listed(entry));
  }
  for (const Deleted& deleted : deleted_) {
    if (revision > 0 && deleted.revision > revision) changes.deleted.push_back(deleted.id);
  }
  return changes;
}

VideoCatalog::Entry& VideoCatalog::find(const std::string& id) {
  const auto number = numbers_.find(id);
  if (number == numbers_.end()) throw ApiError({404, "no_such_video", "there is no video with this id"});
  return entries_.at(number->second);
}

const VideoCatalog::Entry& VideoCatalog::find(const std::string& id) const {
  return const_cast<VideoCatalog*>(this)->find(id);
}

int64_t VideoCatalog::queue_position(const Video& video) const {
  if (is_final(video.status)) return -1;
  return video.id == running_ ? 0 : std::find(queue_.begin(), queue_.end(), video.id) - queue_.begin() + 1;
}

void VideoCatalog::store(const Video& video) const {
  if (folder_) folder_->save(video);
}

void VideoCatalog::request_made() {
  requested_ = true;
  something_changed_.notify_all();
}

void VideoCatalog::changed(Entry& entry, Keep keep) {
  if (entry.prompts) {
    const LivePromptState prompts = entry.prompts->state();
    entry.video.progress.pending_prompt = prompts.waiting;
    entry.video.progress.prompt_fault = client_text(prompts.fault, "the server cannot use this prompt");
    if (is_final(entry.video.status) && prompts.waiting) {
      entry.video.progress.pending_prompt.reset();
      entry.video.progress.prompt_fault = "the video ended before the next frame block";
    }
  }
  if (keep == Keep::kOnDisk && folder_) {
    log_failure_of([&] { store(entry.video); });
  }
  entry.revision = ++revision_;
  something_changed_.notify_all();
}

void VideoCatalog::queue_changed() {
  for (const std::string& id : queue_) find(id).revision = ++revision_;
  something_changed_.notify_all();
}

}  // namespace flashblock
