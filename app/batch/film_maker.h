// One film after another on a loaded model.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "pipeline/render_config.h"
#include "pipeline/render_film.h"

namespace flashblock {

/// Films whose configurations give the same key can share a loaded model.
std::string model_key(const RenderConfig& config);

/// A film as `render` would make it, with its NAME.json. Keeps the model for the next film that can share it.
/// Not thread-safe.
class FilmMaker {
 public:
  FilmMaker();
  ~FilmMaker();

  /// Goes on with a film that was interrupted, and leaves one that is complete as it is. config.overwrite: replaces
  /// what is there of another film. Throws: Error; then the model is let go.
  FilmResult make(const RenderConfig& config, FilmObserver& observer, const std::stop_token& stop);

 private:
  struct Kept;
  Kept& model_for(const RenderConfig& config);
  FilmResult make_with(Kept& kept, const RenderConfig& config, FilmObserver& observer, const std::stop_token& stop);

  std::unique_ptr<Kept> kept_;
};

}  // namespace flashblock
