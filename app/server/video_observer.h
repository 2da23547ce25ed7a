// What the server learns of a film while it is rendered.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "app/progress.h"
#include "app/server/film_streams.h"
#include "app/server/video_catalog.h"
#include "pipeline/render_film.h"

namespace flashblock {

/// Puts a film's progress into the catalog and its pieces into a stream. Whatever fails in that, a full disk say, ends
/// the stream and never the film.
class VideoObserver : public FilmObserver {
 public:
  /// `next`: is told the same; may be null. All outlive the observer.
  VideoObserver(std::string id, VideoCatalog& catalog, FilmStreams& streams, FilmObserver* next = nullptr);
  /// Ends the stream.
  ~VideoObserver() override;

  void stage(const std::string& name, const FilmProgress& so_far) override;
  void progress(const FilmProgress& so_far) override;
  void written(const FilmWriter& writer) override;
  void prompt_changed(const TakenPrompt& prompt, double seconds) override;
  void joined(const FilmResult& result) override;

  /// Why the stream ended before the film; empty: it did not.
  const std::string& fault() const { return fault_; }

 private:
  void take_pieces(const FilmWriter& writer);

  const std::string id_;
  VideoCatalog& catalog_;
  FilmStreams& streams_;
  FilmObserver* next_;
  std::shared_ptr<FilmStream> stream_;
  size_t pieces_ = 0;  ///< in the stream
  std::string stage_;
  RenderPace pace_;
  std::string fault_;
};

}  // namespace flashblock
