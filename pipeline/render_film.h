// From a configuration to a film on disk.
#pragma once

#include <cstdint>
#include <map>
#include <stop_token>
#include <string>

#include "core/profile.h"
#include "pipeline/film_setup.h"
#include "pipeline/loaded_model.h"
#include "pipeline/render_config.h"
#include "pipeline/render_session.h"

namespace flashblock {

/// How far a film is.
struct FilmProgress {
  int64_t block = 0;     ///< frame blocks on disk
  int64_t blocks = 0;    ///< frame blocks of the film
  int64_t pictures = 0;  ///< pictures on disk, a given start included
};

/// Is told what happens while a film is rendered.
/// Thread safety: stage() is called on the caller's thread, progress() on the writing thread; never both at once.
class FilmObserver {
 public:
  virtual ~FilmObserver() = default;
  virtual void stage(const std::string& /*name*/, const FilmProgress& /*so_far*/) {}
  virtual void progress(const FilmProgress& /*so_far*/) {}
};

/// How a film went.
struct FilmResult {
  bool complete = false;  ///< false: stopped on request; the finished pieces are in NAME.parts
  int64_t pictures = 0;   ///< in the film, or in the pieces
  RenderCounts counts;
};

/// Prompts, encoded; the start, encoded; the noise: all that `setup`'s film is made from. Throws: Error.
FilmInputs make_film_inputs(const FilmSetup& setup, const LoadedModel& model, FilmObserver& observer);

/// How a session renders `setup`'s film on that model's device.
SessionOptions session_options(const FilmSetup& setup, const LoadedModel& model);

/// Renders the film that `setup` says, with the model it was set up for, and puts it under config.output, with `tags`
/// as the film's metadata. Requires: config.output and config.seed are set.
/// When `stop` is requested, the frame blocks that are denoised by then are still written.
/// Throws: Error. Pieces that are finished by then stay in NAME.parts; nothing is under the final name.
FilmResult render_film(const FilmSetup& setup, LoadedModel& model, const std::map<std::string, std::string>& tags,
                       Profile& profile, FilmObserver& observer, const std::stop_token& stop = {});

}  // namespace flashblock
