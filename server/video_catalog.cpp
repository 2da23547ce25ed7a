#include "server/video_catalog.h"

#include <algorithm>
#include <ctime>
#include <iostream>

#include "core/error.h"
#include "server/api_error.h"

namespace flashblock {
namespace {

constexpr size_t kStoredDeletions = 256;

/// A full disk stops neither the server nor the render: the failure is logged.
void log_failure_of(const std::function<void()>& write) {
  try {
    write();
  } catch (const Error& error) {
    std::cerr << "flashblock: warning: " << error.what() << std::endl;
  }
}

}  // namespace

VideoCatalog::VideoCatalog(std::shared_ptr<const VideoFolder> folder, size_t most_queued)
    : folder_(std::move(folder)), most_queued_(most_queued) {
  if (!folder_) return;
  for (Video& video : folder_->load(warnings_)) {
    next_number_ = std::max(next_number_, video.number + 1);
    // The video that was running when the program ended resumes first.
    if (video.status == VideoStatus::kInProgress) queue_.push_front(video.id);
    if (video.status == VideoStatus::kQueued) queue_.push_back(video.id);
    if (!is_final(video.status)) video.status = VideoStatus::kQueued;
    numbers_[video.id] = video.number;
    entries_[video.number] = {.video = std::move(video), .revision = ++revision_};
  }
}

ListedVideo VideoCatalog::add(Video video) {
  const std::lock_guard lock(mutex_);
  if (queue_.size() >= most_queued_) {
    throw ApiError({429, "queue_full", std::to_string(queue_.size()) + " videos are queued already; try again later"});
  }
  identify(video);
  if (folder_) folder_->save(video);
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
  return {.frames_per_second = progress.frames_per_second, .blocks_left = progress.blocks - progress.block};
}

ListedVideo VideoCatalog::cancel(const std::string& id) {
  const std::lock_guard lock(mutex_);
  Entry& entry = find(id);
  if (entry.video.status == VideoStatus::kQueued) {
    std::erase(queue_, id);
    end_video(entry.video, VideoStatus::kCancelled);
    changed(entry, Keep::kOnDisk);
    queue_changed();
  }
  if (entry.video.status == VideoStatus::kInProgress) entry.stop.request_stop();
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
  queue_changed();
}

std::optional<VideoCatalog::Task> VideoCatalog::take_next(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const bool found = something_changed_.wait(lock, stop, [&] { return !queue_.empty(); });
  if (!found || stop.stop_requested()) return {};  // the queue is for the next server
  Entry& entry = find(queue_.front());
  queue_.pop_front();
  running_ = entry.video.id;
  running_removed_ = false;
  entry.video.status = VideoStatus::kInProgress;
  entry.video.progress = {};
  changed(entry, Keep::kOnDisk);
  queue_changed();
  entry.prompts = std::make_shared<LivePrompts>();
  return Task{.video = entry.video, .stop = entry.stop.get_token(), .prompts = entry.prompts};
}

void VideoCatalog::update(const std::string& id, Keep keep, const std::function<void(Video&)>& change) {
  const std::lock_guard lock(mutex_);
  const auto number = numbers_.find(id);
  if (number == numbers_.end()) return;
  Entry& entry = entries_.at(number->second);
  change(entry.video);
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
  if (video.status == VideoStatus::kInProgress) return 0;
  if (video.status != VideoStatus::kQueued) return -1;
  return std::find(queue_.begin(), queue_.end(), video.id) - queue_.begin() + 1;
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
    log_failure_of([&] { folder_->save(entry.video); });
  }
  entry.revision = ++revision_;
  something_changed_.notify_all();
}

void VideoCatalog::queue_changed() {
  for (const std::string& id : queue_) find(id).revision = ++revision_;
  something_changed_.notify_all();
}

}  // namespace flashblock
