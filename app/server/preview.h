// A film that is watched while one command renders it.
#pragma once

#include <memory>
#include <string>

#include "app/server/server_options.h"
#include "app/server/video_observer.h"
#include "app/server/video_server.h"
#include "pipeline/film_setup.h"

namespace flashblock {

/// Serves one film's page and streams while it lives.
class Preview {
 public:
  /// Throws: ConfigError for an address that cannot be had.
  Preview(const ServerSettings& settings, const FilmSetup& setup);

  std::string url() const { return server_.url(); }
  /// Where the film's next prompts come from; null for a replayed record, which has its own.
  std::shared_ptr<LivePrompts> prompts() const { return prompts_; }
  /// Takes what there is to see of the film, and tells `next` the same.
  std::unique_ptr<FilmObserver> observe(FilmObserver& next);
  /// Says that the film is complete, and lets viewers have the rest of it: returns when none is left, at the latest
  /// after `most`, or when `stop` is requested.
  void end(std::chrono::milliseconds most, const std::stop_token& stop);

 private:
  VideoCatalog catalog_;
  FilmStreams streams_;
  Video video_;
  std::shared_ptr<LivePrompts> prompts_;
  VideoServer server_;
};

}  // namespace flashblock
