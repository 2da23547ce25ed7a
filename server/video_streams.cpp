#include "server/video_streams.h"

#include <utility>

namespace flashblock {

void VideoStreams::set_current(const std::string& id, std::shared_ptr<VideoStream> stream) {
  const std::lock_guard lock(mutex_);
  id_ = id;
  stream_ = std::move(stream);
}

void VideoStreams::remove(const std::string& id) {
  const std::lock_guard lock(mutex_);
  if (id_ == id) stream_.reset();
}

VideoStreams::Found VideoStreams::current() const {
  const std::lock_guard lock(mutex_);
  return {id_, stream_};
}

VideoStreams::Found VideoStreams::find(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  return id_ == id ? Found{id_, stream_} : Found{id, nullptr};
}

}  // namespace flashblock
