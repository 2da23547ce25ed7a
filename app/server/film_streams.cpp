#include "app/server/film_streams.h"

#include <utility>

namespace flashblock {

void FilmStreams::set_current(const std::string& id, std::shared_ptr<FilmStream> stream) {
  const std::lock_guard lock(mutex_);
  id_ = id;
  stream_ = std::move(stream);
}

void FilmStreams::remove(const std::string& id) {
  const std::lock_guard lock(mutex_);
  if (id_ == id) stream_.reset();
}

FilmStreams::Found FilmStreams::current() const {
  const std::lock_guard lock(mutex_);
  return {id_, stream_};
}

FilmStreams::Found FilmStreams::find(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  return id_ == id ? Found{id_, stream_} : Found{id, nullptr};
}

}  // namespace flashblock
