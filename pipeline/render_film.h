// From a configuration to a film on disk.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>

#include "core/profile.h"
#include "pipeline/film_identity.h"
#include "pipeline/film_setup.h"
#include "pipeline/live_prompts.h"
#include "pipeline/loaded_model.h"
#include "pipeline/render_config.h"
#include "pipeline/render_session.h"

namespace flashblock {

class FilmWriter;

/// How far a film is.
struct FilmProgress {
  int64_t block = 0;                ///< frame blocks on disk
  int64_t blocks = 0;               ///< frame blocks of the film
  int64_t pictures = 0;             ///< pictures on disk, a given start included
  TransformerCounters transformer;  ///< work up to the newest of them
};

/// How a film went.
struct FilmResult {
  bool complete = false;       ///< false: stopped on request; the finished pieces are in NAME.parts
  int64_t pictures = 0;        ///< in the film, or in the pieces
  int64_t blocks = 0;          ///< frame blocks in them
  int64_t resumed_blocks = 0;  ///< those of them that an earlier run had finished
  RenderCounts counts;         ///< this run's work
  /// As it came out: with the prompts that were given while it was rendered in place. Rendered from this, the film is
  /// the same bit for bit.
  RenderConfig config;
};

/// Is told what happens while a film is rendered.
/// Thread safety: stage() and prompt_changed() are called on the caller's thread, the others on the writing thread.
/// stage() never comes at the same time as those; prompt_changed() may.
class FilmObserver {
 public:
  virtual ~FilmObserver() = default;
  virtual void stage(const std::string& /*name*/, const FilmProgress& /*so_far*/) {}
  virtual void progress(const FilmProgress& /*so_far*/) {}
  /// The pieces that are on disk: those of an earlier run first, then after each.
  virtual void written(const FilmWriter& /*writer*/) {}
  /// A prompt of FilmOrder::prompts is about to take effect, `seconds` into the film.
  virtual void prompt_changed(const TakenPrompt& /*prompt*/, double /*seconds*/) {}
  /// The film is under its final name, and its pieces are still there: what is written now is written again if the
  /// program is killed meanwhile and the film resumed. On the caller's thread.
  virtual void joined(const FilmResult& /*result*/) {}
};

/// What a caller wants of a film, beside what its setup says.
struct FilmOrder {
  /// The film's metadata, from its configuration as it came out.
  std::function<std::map<std::string, std::string>(const RenderConfig&)> tags;
  /// What its bits depend on: kept with the unfinished film, and compared when it is continued.
  FilmIdentity identity;
  /// Kept with the unfinished film, as `configuration.yaml`: how to ask for it again.
  std::string configuration;
  /// Where its prompts change while it is rendered; null: nowhere. Not for a replayed record.
  std::shared_ptr<LivePrompts> prompts;
};

/// Prompts, encoded; the start, encoded; the noise: all that `setup`'s film is made from. Throws: Error.
FilmInputs make_film_inputs(const FilmSetup& setup, const LoadedModel& model, FilmObserver& observer);

/// How a session renders `setup`'s film, on that model's device and in its lanes.
SessionOptions session_options(const FilmSetup& setup, LoadedModel& model);

/// Renders the film that `setup` says, with the model it was set up for, and puts it under config.output. Requires:
/// config.output and config.seed are set.
/// With config.resume it goes on after the frame blocks that an earlier run finished: latents and video stream are bit
/// for bit those of one run.
/// When `stop` is requested, the frame blocks that are denoised by then are still written.
/// Throws: Error. Pieces that are finished by then stay in NAME.parts; nothing is under the final name.
FilmResult render_film(FilmSetup setup, LoadedModel& model, const FilmOrder& order, Profile& profile,
                       FilmObserver& observer, const std::stop_token& stop = {});

}  // namespace flashblock
